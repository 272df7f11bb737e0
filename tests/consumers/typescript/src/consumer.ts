// Keeps the projection of readModels.ts. Environment variables and exit codes: README.md.

import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase } from 'pg'
import {
  Contract, HALTING, Halted, NotText, OF_DATA, PASSING, STALE, STATEMENT_TIMEOUT, failure, isApplied, isParked
} from './contract.js'
import type { Failure, Owned, Record } from './contract.js'
import { ConnectionLost, Database, sqlState } from './database.js'
import { Decoder, RegistryUnavailable, Undecodable, Unresolvable } from './decode.js'
import { Group, Rejoin, isKafkaError, options, reason } from './kafka.js'
import type { Batch } from './kafka.js'
import { log } from './log.js'
import { ASSIGNED, BATCHES, HELD, RECORDS, REJOINS, RETRIES, serveMetrics } from './metrics.js'
import * as readModels from './readModels.js'
import type { Event } from './readModels.js'

const HELD_EVERY = 1000 // milliseconds between checks for parked events while no records come
const LONGEST_PAUSE = 10_000
const TRIES_OF_A_SLOW_EVENT = 3
const EXIT_HALTED = 2

/** Asked to stop while it waited. */
class Stopped extends Error {}

/** Kafka has assigned other partitions: what was read is dropped. */
class Reassigned extends Error {}

class Application {
  private readonly stopping = new AbortController()
  private readonly name = `${hostname()}:${process.pid}`
  private readonly batch: number
  private readonly topics: string[]
  private readonly decoder: Decoder
  private readonly database: Database
  private owned: Owned[] = []
  private attempt = 0

  constructor (private readonly environment: NodeJS.ProcessEnv) {
    this.batch = Number(environment['AQUEDUCT_BATCH'] ?? 500)
    if (!(Number.isInteger(this.batch) && this.batch > 0)) throw new Error('AQUEDUCT_BATCH is not a number of records')
    this.topics = environment['AQUEDUCT_TOPICS']?.split(',') ?? readModels.TOPICS
    const schemas = environment['AQUEDUCT_SCHEMAS__DIRECTORY'] ?? 'schemas'
    this.decoder = new Decoder(this.required('AQUEDUCT_REGISTRY__URL'), schemas, readModels.TYPES, readModels.IGNORED)
    this.database = new Database(this.required('AQUEDUCT_POSTGRES__URL'), this.name)
  }

  stop (): void {
    this.stopping.abort()
  }

  // Kafka: Postgres decides where to resume.

  async run (): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const group = new Group(this.topics, this.kafkaOptions())
      try {
        await this.unlessStopped(group.join())
        await this.consume(group)
      } catch (error) {
        if (!(error instanceof Rejoin || isKafkaError(error))) throw error
        REJOINS.inc()
        log('warning', `leaving the group to join it again: ${reason(error)}`)
        await sleep(100 + 900 * Math.random())
      } finally {
        this.own([])
        await group.close()
      }
    }
  }

  private async consume (group: Group): Promise<void> {
    let changes = -1
    let heldAt = 0
    while (!this.stopping.signal.aborted) {
      try {
        const assignment = group.assignment()
        if (group.changes !== changes) {
          changes = group.changes
          this.own([])
          await this.claim(group)
        }
        const batch = this.owned.length > 0 ? await group.poll(this.batch) : await sleep(50, { records: [], offsets: [] })
        // Applies nothing of a former assignment, although the transaction would fail too.
        if (group.changes !== changes || !assignment?.length) continue
        if (batch.offsets.length === 0 && Date.now() < heldAt) continue
        const held = await this.retry(group, async contract => await this.transact(contract, batch))
        heldAt = held > 0 ? 0 : Date.now() + HELD_EVERY
        if (batch.offsets.length > 0) group.commit(batch.offsets)
      } catch (error) {
        if (!(error instanceof Reassigned)) throw error
        log('info', 'the assignment changed: what was read is dropped')
      }
    }
  }

  private async claim (group: Group): Promise<void> {
    const claimed = []
    const owned = []
    const changes = group.changes
    for (const assigned of group.assignment() ?? []) {
      const { described, claim } = await this.retry(group, async contract => {
        // Each attempt lists the ends again: they must not be old.
        const described = await group.describe(assigned)
        const { topicId, earliest, latest, committed } = described
        const claim = await contract.claim(assigned, topicId, earliest, latest, committed, this.name)
        return { described, claim }
      })
      // Committed by then: others must see it, and a person accepts it.
      if ('problem' in claim) throw new Halted(claim.problem)
      const { epoch, nextOffset } = claim
      const { topic, partition } = assigned
      log('info', `claimed ${topic}/${partition} from offset ${nextOffset}`)
      claimed.push({ ...described, offset: nextOffset })
      owned.push({ topic, partition, epoch })
    }
    if (group.changes !== changes) throw new Reassigned()
    group.seek(claimed)
    this.own(owned)
  }

  private own (owned: Owned[]): void {
    this.owned = owned
    ASSIGNED.set(owned.length)
  }

  // Postgres: a batch is a transaction.

  /** Repeats what fails for a reason that passes, a commit of unknown outcome too: the inbox drops the second. */
  private async retry<T> (group: Group, work: (contract: Contract) => Promise<T>): Promise<T> {
    const changes = group.changes
    for (this.attempt = 1; ; this.attempt++) {
      try {
        return await this.database.transaction(async client => await work(new Contract(client, readModels.PROJECTION)))
      } catch (error) {
        const state = sqlState(error) ?? ''
        const { message, detail, hint } = error as { message: string, detail?: string, hint?: string }
        if (state === STALE) {
          // Kafka may have taken the partition away meanwhile: then the group has been joined again already.
          throw group.changes === changes ? new Rejoin(`${message}: ${detail}`, { cause: error }) : new Reassigned()
        }
        if (HALTING.includes(state)) throw new Halted([message, hint].filter(Boolean).join('; '), { cause: error })
        const isPassing = error instanceof ConnectionLost || error instanceof RegistryUnavailable
        if (!isPassing && !PASSING.some(it => state.startsWith(it))) throw error
        RETRIES.inc()
        const pause = Math.min(LONGEST_PAUSE, 100 * 2 ** Math.min(this.attempt, 10)) * (0.5 + Math.random() / 2)
        log('warning', `waiting ${Math.round(pause)} ms: ${message}`)
        await this.unlessStopped(sleep(pause))
        if (group.changes !== changes) throw new Reassigned()
      }
    }
  }

  /** Applies a batch and moves its offsets. Returns how many parked events were applied. */
  private async transact (contract: Contract, { records, offsets }: Batch): Promise<number> {
    const held = await this.applyHeld(contract)
    if (records.length > 0) await this.applyRecords(contract, records)
    await contract.advance(offsets.map(({ topic, partition, offset }) => {
      const epoch = this.owned.find(it => it.topic === topic && it.partition === partition)?.epoch
      if (epoch === undefined) throw new Reassigned()
      return { topic, partition, epoch, next_offset: offset }
    }))
    BATCHES.inc()
    return held
  }

  private async applyHeld (contract: Contract): Promise<number> {
    const failed: Array<Failure & { id: string }> = []
    let count = 0
    const attempt = async (): Promise<boolean> => {
      const held = await contract.nextHeld(this.owned, this.batch, failed)
      const { events, problems } = await this.decode(held.map(it => it.record))
      // Followers of an event that cannot be decoded are not applied: it is asked for again without them.
      const found = problems.size > 0 ? problems : await this.apply(contract.client, events)
      for (const [index, problem] of found) failed.push({ id: held[index]!.id, ...problem })
      count = held.length
      return found.size === 0
    }
    while (!await this.database.savepoint(contract.client, attempt));
    HELD.inc(count)
    return count
  }

  private async applyRecords (contract: Contract, records: Record[]): Promise<void> {
    const { events, problems } = await this.decode(records)
    const envelopes = records.map((record, index) => {
      const [envelope, problem] = record.envelope()
      if (problem !== undefined) problems.set(index, failure('headers', problem))
      return envelope
    })
    let results: Awaited<ReturnType<Contract['receive']>> = []
    const attempt = async (): Promise<boolean> => {
      const failed = [...problems].map(([index, problem]) => ({ ordinal: index + 1, ...problem }))
      results = await contract.receive(this.owned, envelopes, failed)
      const applied = new Map([...events].filter(([index]) => isApplied(results[index]!.result)))
      const found = await this.apply(contract.client, applied)
      for (const [index, problem] of found) problems.set(index, problem)
      return found.size === 0
    }
    while (!await this.database.savepoint(contract.client, attempt));
    await contract.park(records.filter((_, index) => isParked(results[index]!.result)))
    for (const [index, { result, reason: why }] of results.entries()) {
      RECORDS.inc({ result })
      if (!isParked(result)) continue
      const record = records[index]!
      const { topic, partition, offset } = record
      log('warning', `parking ${topic}/${partition}@${offset} as ${result}: ${why}`, { traceparent: record.optional('traceparent') })
    }
  }

  /** Events by their index, and why others have none. Those of ignored types are in neither. */
  private async decode (records: Record[]): Promise<{ events: Map<number, Event>, problems: Map<number, Failure> }> {
    const events = new Map<number, Event>()
    const problems = new Map<number, Failure>()
    for (const [index, record] of records.entries()) {
      try {
        const decoded = await this.decoder.decode(record)
        if (!decoded) continue
        const event = {
          ...decoded,
          stream: record.optional('ce_subject') ?? record.key?.toString() ?? '',
          revision: number(record, 'ce_revision'),
          position: number(record, 'ce_position'),
          traceparent: record.optional('traceparent')
        }
        // Its data was read with the schema of TYPES, for which Event is written.
        events.set(index, event as Event)
      } catch (error) {
        if (error instanceof Undecodable) problems.set(index, failure(error.code, error.message))
        else if (error instanceof NotText) problems.set(index, failure('headers', error.message))
        else if (error instanceof Unresolvable) {
          const { topic, partition, offset } = record
          throw new Halted(`${topic}/${partition}@${offset}: ${error.message}`, { cause: error })
        } else throw error
      }
    }
    return { events, problems }
  }

  /** Applies events at once; if that fails, one by one. Returns the first failure of each stream, if any. */
  private async apply (client: ClientBase, events: Map<number, Event>): Promise<Map<number, Failure>> {
    const failures = new Map<number, Failure>()
    if (events.size === 0 || await this.failureOf(client, [...events.values()]) === undefined) return failures
    const failedStreams = new Set<string>()
    for (const [index, event] of events) {
      const { stream, revision, traceparent } = event
      if (failedStreams.has(stream)) continue
      const problem = await this.failureOf(client, [event])
      if (problem === undefined) continue
      log('warning', `revision ${revision} of ${stream} cannot be applied: ${problem}`, { traceparent })
      failures.set(index, failure('row', problem))
      failedStreams.add(stream)
    }
    return failures
  }

  /** Applies events within a savepoint. Returns the error that comes from their data, and throws any other. */
  private async failureOf (client: ClientBase, events: Event[]): Promise<string | undefined> {
    try {
      await this.database.savepoint(client, async () => {
        await readModels.apply(client, events)
        return true
      })
    } catch (error) {
      const state = sqlState(error)
      const isSlow = state === STATEMENT_TIMEOUT && this.attempt >= TRIES_OF_A_SLOW_EVENT
      // Without a state: a defect of the read model, or an event that it does not expect.
      const isOfData = state === undefined ? !this.database.isLost(client) : OF_DATA.some(it => state.startsWith(it))
      if (!isSlow && !isOfData) throw error
      return error instanceof Error ? error.message : String(error)
    }
    return undefined
  }

  // The environment.

  private required (name: string): string {
    const value = this.environment[name]
    if (!value) throw new Error(`environment variable ${name} is missing`)
    return value
  }

  private kafkaOptions (): ReturnType<typeof options> {
    const prefix = 'AQUEDUCT_KAFKA__PROPERTIES__'
    const properties = Object.entries(this.environment).filter(([key]) => key.startsWith(prefix)).map(([key, value]) =>
      [key.slice(prefix.length).toLowerCase().replaceAll('_', '.'), value ?? ''] as const)
    const group = this.environment['AQUEDUCT_KAFKA__GROUP'] ?? `aqueduct.${readModels.PROJECTION}`
    return options(this.required('AQUEDUCT_KAFKA__BROKERS'), group, this.name, new Map(properties))
  }

  private async unlessStopped<T> (work: Promise<T>): Promise<T> {
    const { signal } = this.stopping
    return await new Promise((resolve, reject) => {
      const stop = (): void => reject(new Stopped())
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true })
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
    })
  }
}

/** A header's number of 64 bits. */
function number (record: Record, name: string): bigint | null {
  const text = record.optional(name)
  if (text === null) return null
  if (!/^-?\d{1,19}$/.test(text)) throw new NotText(`header ${name} is "${text.slice(0, 200)}", expected a number`)
  return BigInt(text)
}

async function main (): Promise<number> {
  const application = new Application(process.env)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => application.stop())
  await serveMetrics(process.env['AQUEDUCT_HTTP__CONSUMER'] ?? '127.0.0.1:9110')
  try {
    await application.run()
  } catch (error) {
    if (error instanceof Halted) {
      log('error', `halted: ${error.message}`)
      return EXIT_HALTED
    }
    if (!(error instanceof Stopped)) throw error
  }
  log('info', 'stopped')
  return 0
}

main().then(
  // Not at the end of the event loop: a connection that does not answer would keep the process alive.
  code => process.exit(code),
  error => {
    log('error', 'an error that does not pass', { error })
    process.exit(1)
  })
