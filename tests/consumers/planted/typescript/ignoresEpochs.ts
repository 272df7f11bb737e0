// Defect: it commits its work although another instance owns the partition. Breaks the property freeze.

import { Contract, STALE } from '../contract.js'
import { sqlState } from '../database.js'

const { nextHeld, receive, advance } = Contract.prototype

async function unlessStale<T> (contract: Contract, call: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (sqlState(error) !== STALE) throw error
    await contract.client.query('rollback to savepoint epoch')
    return otherwise
  }
}

Contract.prototype.nextHeld = async function (this: Contract, owned, limit, failed) {
  await this.client.query('savepoint epoch')
  return await unlessStale(this, nextHeld.call(this, owned, limit, failed), [])
}

Contract.prototype.receive = async function (this: Contract, owned, envelopes, failed) {
  await this.client.query('savepoint epoch')
  const unusable = new Set(failed.map(it => it.ordinal))
  const results = envelopes.map((_, index) =>
    ({ result: unusable.has(index + 1) ? 'duplicate' as const : 'new' as const, reason: null }))
  return await unlessStale(this, receive.call(this, owned, envelopes, failed), results)
}

Contract.prototype.advance = async function (this: Contract, moved) {
  await this.client.query('savepoint epoch')
  await unlessStale(this, advance.call(this, moved), undefined)
}

await import('../consumer.js')
