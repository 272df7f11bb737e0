// Defect: of a stream's events in a batch it applies the last one only, as if each were the whole state. Breaks the property
// large-batch.

import { Contract, isApplied } from '../contract.js'

const { receive } = Contract.prototype

Contract.prototype.receive = async function (this: Contract, owned, envelopes, failed) {
  const last = new Map(envelopes.map((it, index) => [(it as { ce_subject: string }).ce_subject, index]))
  const lasts = new Set(last.values())
  const results = await receive.call(this, owned, envelopes, failed)
  return results.map((it, index) => isApplied(it.result) && !lasts.has(index) ? { ...it, result: 'duplicate' } : it)
}

await import('../consumer.js')
