// The contract: the SQL functions of the schema aqueduct_consumer, each called in the caller's transaction.
// This module needs no change when the program is copied.

import { isUtf8 } from 'node:buffer'
import type { Client, ClientBase } from 'pg'

const GENERATION = 1
const ENVELOPE = [
  'ce_source', 'ce_subject', 'ce_id', 'ce_eventid', 'ce_revision', 'ce_previousrevision', 'ce_time'
] as const
const LONGEST_REASON = 1000

export const STALE = 'AQ001'
// Not registered, not a member of the owner, halted: a person must act.
export const HALTING = ['AQ010', 'AQ011', 'AQ012']
// The role owns no projection, or the functions are not installed in this database.
const FORBIDDEN = ['42501', '3F000']
export const STATEMENT_TIMEOUT = '57014'
// Classes and codes that pass without help: connection, rollback, resources, operator, standby, locks, idle time-outs.
export const PASSING = ['08', '40', '53', '57', '25006', '25P03', '55P03']
// Errors of an event's data, which only this event has: cardinality, data, constraint, raised by a function.
export const OF_DATA = ['21', '22', '23', '44', 'P0']

/** The projection cannot continue until a person has acted. */
export class Halted extends Error {}

/** A header or key that is not text which Postgres can store. */
export class NotText extends Error {}

export interface Partition {
  topic: string
  partition: number
}

export interface Owned extends Partition {
  epoch: bigint
}

export interface Failure {
  code: 'headers' | 'payload' | 'unknown_type' | 'row'
  reason: string
}

export type Result = 'new' | 'unjudged' | 'duplicate' | 'gap' | 'blocked' | 'invalid' | 'conflict' | 'undecidable'

export const isApplied = (result: Result): boolean => result === 'new' || result === 'unjudged'
export const isParked = (result: Result): boolean => !isApplied(result) && result !== 'duplicate'

/** A record as Kafka has it. Headers keep their order, and may occur twice. */
export class Record implements Partition {
  constructor (
    readonly topic: string,
    readonly partition: number,
    readonly offset: bigint,
    readonly timestamp: bigint | null,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    readonly headers: ReadonlyArray<readonly [Buffer, Buffer | null]>
  ) {}

  /** A header as text, null if the record has none. Throws NotText. */
  text (name: string): string | null {
    const value = this.headers.find(([header]) => header.equals(Buffer.from(name)))?.[1]
    return value == null ? null : asText(value, `header ${name}`)
  }

  /** A header as text, null if it is missing or not text. */
  optional (name: string): string | null {
    return readable(() => this.text(name))[0]
  }

  /** What receive needs to know of the record, and why a part of it cannot be read. */
  envelope (): [object, string | undefined] {
    const { topic, partition, offset, timestamp } = this
    const [key, problemOfKey] = readable(() => this.key && asText(this.key, 'the key'))
    const envelope: { [name: string]: unknown } = { topic, partition, offset, timestamp, key }
    let problem = problemOfKey
    for (const name of ENVELOPE) {
      const [text, problemOfHeader] = readable(() => this.text(name))
      envelope[name] = text
      problem ??= problemOfHeader
    }
    return [envelope, problem]
  }

  parked (): object {
    const { topic, partition, offset } = this
    const headers = this.headers.map(([name, value]) => ({ name: storable(name.toString()), value: encoded(value) }))
    return {
      topic, partition, offset, event_type: this.optional('ce_type'), key: encoded(this.key), value: encoded(this.value), headers
    }
  }
}

function asText (value: Buffer, what: string): string {
  if (!isUtf8(value)) throw new NotText(`${what} is not UTF-8`)
  if (value.includes(0)) throw new NotText(`${what} contains U+0000, which Postgres cannot store`)
  return value.toString()
}

function readable (read: () => string | null): [string | null, string | undefined] {
  try {
    return [read(), undefined]
  } catch (error) {
    if (error instanceof NotText) return [null, error.message]
    throw error
  }
}

const storable = (text: string): string => Buffer.from(text).toString().replaceAll('\0', '\ufffd')
const encoded = (bytes: Buffer | null): string | null => bytes && bytes.toString('base64')
const decoded = (text: string | null): Buffer | null => text === null ? null : Buffer.from(text, 'base64')
// Numbers of 64 bits as text: a number of JavaScript holds 53.
const json = (value: unknown): string => JSON.stringify(value, (_, it) => typeof it === 'bigint' ? it.toString() : it)

export function failure (code: Failure['code'], reason: string): Failure {
  return { code, reason: storable(reason.slice(0, LONGEST_REASON)) }
}

interface ClaimRow {
  result: 'claimed' | 'halted'
  epoch: string
  next_offset: string
  problem: string
}

interface HeldRow {
  id: string
  topic: string
  partition: number
  offset: string
  key: string | null
  value: string | null
  headers: Array<{ name: string, value: string | null }>
}

/** The functions for one projection, on one connection. */
export class Contract {
  constructor (readonly client: ClientBase, private readonly projection: string) {}

  /** Makes this consumer the partition's owner. Returns its epoch and the offset to resume at, or the problem that halts it. */
  async claim (
    { topic, partition }: Partition, topicId: string, earliest: bigint, latest: bigint, committed: bigint | null, consumer: string
  ): Promise<{ epoch: bigint, nextOffset: bigint } | { problem: string }> {
    // The client has it as a UUID, Kafka's tools and other clients print it in base64.
    const printedId = Buffer.from(topicId.replaceAll('-', ''), 'hex').toString('base64url')
    const [row] = await this.call<ClaimRow>(
      'claim', ['text', 'text', 'integer', 'bigint', 'bigint', 'bigint', 'text'],
      topic, printedId, partition, earliest, latest, committed, consumer
    ).catch(error => { throw this.explained(error) })
    if (row?.result !== 'claimed') return { problem: row?.problem ?? 'claim returned nothing' }
    return { epoch: BigInt(row.epoch), nextOffset: BigInt(row.next_offset) }
  }

  /** Parked events whose turn it is, with their ids. */
  async nextHeld (
    owned: Owned[], limit: number, failed: Array<Failure & { id: string }>
  ): Promise<Array<{ id: string, record: Record }>> {
    const rows = await this.call<HeldRow>('next_held', ['jsonb', 'integer', 'jsonb'], json(owned), limit, json(failed))
    return rows.map(row => {
      const headers = row.headers.map(it => [Buffer.from(it.name), decoded(it.value)] as const)
      const { id, topic, partition } = row
      const offset = BigInt(row.offset)
      return { id, record: new Record(topic, partition, offset, null, decoded(row.key), decoded(row.value), headers) }
    })
  }

  /** One result a record, in their order. */
  async receive (
    owned: Owned[], envelopes: object[], failed: Array<Failure & { ordinal: number }>
  ): Promise<Array<{ result: Result, reason: string | null }>> {
    return await this.call('receive', ['jsonb', 'jsonb', 'jsonb'], json(owned), json(envelopes), json(failed))
  }

  async park (records: Record[]): Promise<void> {
    if (records.length > 0) await this.call('park', ['jsonb'], json(records.map(it => it.parked())))
  }

  async advance (moved: Array<Owned & { next_offset: bigint }>): Promise<void> {
    if (moved.length > 0) await this.call('advance', ['jsonb'], json(moved))
  }

  private explained (error: Error & { code?: string }): Error {
    if (!FORBIDDEN.includes(error.code ?? '')) return error
    const { user, database } = this.client as Client
    return new Halted(
      `role "${user}" may not act for projection "${this.projection}" in database "${database}" (${error.message}): run there ` +
      `aqueduct projection install ${this.projection} --owner ROLE, with a role of which it is a member`, { cause: error })
  }

  private async call<Row extends object> (name: string, types: string[], ...values: unknown[]): Promise<Row[]> {
    // The driver sends everything as text: the casts choose the function.
    const parameters = ['text', 'integer', ...types].map((type, index) => `$${index + 1}::${type}`).join(', ')
    const query = `select * from aqueduct_consumer.${name}(${parameters})`
    return (await this.client.query<Row>(query, [this.projection, GENERATION, ...values])).rows
  }
}
