// Defect: it knows a record by its place in Kafka. Breaks the properties duplicates and replay.

import { Contract } from '../contract.js'

const { receive } = Contract.prototype

Contract.prototype.receive = async function (this: Contract, owned, envelopes, failed) {
  const byPlace = envelopes.map(it => {
    const { topic, partition, offset } = it as { topic: string, partition: number, offset: bigint }
    return { ...it, ce_revision: null, ce_previousrevision: null, ce_id: `${topic}/${partition}@${offset}` }
  })
  return await receive.call(this, owned, byPlace, failed)
}

await import('../consumer.js')
