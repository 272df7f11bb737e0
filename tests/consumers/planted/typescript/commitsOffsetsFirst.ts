// Defect: it moves its offsets before it applies the records. Breaks the property kill.

import { Contract } from '../contract.js'
import { Database } from '../database.js'
import { Group } from '../kafka.js'
import { PROJECTION } from '../readModels.js'

const { claim, advance } = Contract.prototype
const { poll } = Group.prototype
const database = new Database(process.env['AQUEDUCT_POSTGRES__URL'] ?? '', 'offsets')
const epochs = new Map<string, bigint>()

Contract.prototype.claim = async function (this: Contract, partition, ...offsets) {
  const claimed = await claim.call(this, partition, ...offsets)
  if ('epoch' in claimed) epochs.set(`${partition.topic}/${partition.partition}`, claimed.epoch)
  return claimed
}

Group.prototype.poll = async function (this: Group, limit) {
  const batch = await poll.call(this, limit)
  const moved = batch.offsets.map(({ topic, partition, offset }) =>
    ({ topic, partition, epoch: epochs.get(`${topic}/${partition}`) ?? 0n, next_offset: offset }))
  await database.transaction(async client => await advance.call(new Contract(client, PROJECTION), moved))
  return batch
}

Contract.prototype.advance = async () => {}

await import('../consumer.js')
