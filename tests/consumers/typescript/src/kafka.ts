// The consumer group and its partitions. This module needs no change when the program is copied.
//
// Of @platformatic/kafka it uses the group membership and single requests, not the stream of `consume`, because that
// - cannot seek, and begins where Kafka says in partitions that are assigned later; here Postgres says where;
// - returns records of aborted transactions: it knows one aborted transaction of a producer in a response, and none whose
//   end marker is in the next response;
// - throws where a transaction was aborted before it wrote anything.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Consumer, FetchIsolationLevels, ListOffsetTimestamps, fetchV13 } from '@platformatic/kafka'
import type { ConsumerOptions, RecordsBatch } from '@platformatic/kafka'
import { Record } from './contract.js'
import type { Partition } from './contract.js'
import { log } from './log.js'

const LINGER = 50 // milliseconds that a fetch waits for records
const MAX_BYTES = 8 << 20
const MAX_BYTES_OF_A_PARTITION = 1 << 20
const CLOSE_TIMEOUT = 10_000
const IS_TRANSACTIONAL = 1 << 4
const IS_CONTROL = 1 << 5
const IS_LOG_APPEND_TIME = 1 << 3

type Options = ConsumerOptions<Buffer, Buffer, Buffer, Buffer> & { sessionTimeout: number }

/** Leave the group and join it again: what this instance has been assigned is no longer valid. */
export class Rejoin extends Error {}

/** An error of the client: a broker that does not answer, a moved leader, and so on. */
export function isKafkaError (error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('PLT_KFK_')
}

/** The error that a list of the client's errors ends with says more than the list. */
export function reason (error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors.at(-1))
  return error instanceof Error ? error.message : String(error)
}

/** The client's options from properties with the names of Kafka's documentation. */
export function options (brokers: string, groupId: string, clientId: string, properties: Map<string, string>): Options {
  const take = (name: string, otherwise: string): string => {
    const value = properties.get(name) ?? otherwise
    properties.delete(name)
    return value
  }
  const sessionTimeout = Number(take('session.timeout.ms', '45000'))
  const protocol = take('security.protocol', 'plaintext').toLowerCase()
  const mechanism = take('sasl.mechanism', 'PLAIN').toUpperCase() as NonNullable<Options['sasl']>['mechanism']
  const [username, password] = [take('sasl.username', ''), take('sasl.password', '')]
  const ca = take('ssl.ca.location', '')
  const [unknown] = properties.keys()
  if (unknown !== undefined) throw new Error(`Kafka property "${unknown}" is not supported by this program`)
  return {
    clientId,
    groupId,
    bootstrapBrokers: brokers.split(','),
    autocommit: false,
    sessionTimeout,
    // How long a rebalance waits for a member: the client joins again at the next heartbeat.
    rebalanceTimeout: sessionTimeout,
    heartbeatInterval: Math.min(3000, Math.floor(sessionTimeout / 3)),
    // A request to join waits for the other members.
    requestTimeout: sessionTimeout + 15_000,
    retries: 3,
    retryDelay: 300,
    ...(protocol.endsWith('ssl') && { tls: ca === '' ? {} : { ca: readFileSync(ca) }, tlsServerName: true }),
    ...(protocol.startsWith('sasl') && { sasl: { mechanism, username, password } })
  }
}

/** What Kafka knows of an assigned partition. */
export interface Described extends Partition {
  topicId: string
  earliest: bigint
  latest: bigint
  committed: bigint | null
}

/** Records of a partition that were fetched and not taken yet. */
interface Fetched extends Partition {
  topicId: string
  position: bigint
  records: Record[]
}

export interface Batch {
  records: Record[]
  /** The offset after what was read of each partition, markers of transactions included. */
  offsets: Array<Partition & { offset: bigint }>
}

/** One membership in the group. After an error it is closed, and another one created. */
export class Group {
  /** How often the assignment has changed. */
  changes = 0
  private assigned: Partition[] | undefined
  private failure: Error | undefined
  private aliveAt = Date.now()
  private partitions: Fetched[] = []
  private fetching: Promise<void> | undefined
  private readonly toCommit = new Map<string, Partition & { offset: bigint }>()
  private committing: Promise<void> | undefined
  private readonly member: Consumer
  // A broker answers the requests of a connection one after another: a fetch must not delay heartbeats.
  private readonly reader: Consumer

  constructor (private readonly topics: string[], options: Options) {
    this.member = new Consumer({ ...options })
    this.reader = new Consumer({ ...options })
    this.reader.on('error', error => log('warning', `kafka: ${reason(error)}`))
    this.member.on('error', error => { this.failure ??= error })
    // The client is told to join again by an answer to a heartbeat, and does so at once. It may still apply a batch:
    // whoever is assigned the partition claims it, and then the batch cannot be committed.
    this.member.on('consumer:group:rebalance', () => this.assign(undefined))
    this.member.on('consumer:group:join', ({ assignments }) => {
      this.aliveAt = Date.now()
      this.assign((assignments ?? []).flatMap(({ topic, partitions }) => partitions.map(partition => ({ topic, partition }))))
    })
    this.member.on('consumer:heartbeat:end', () => { this.aliveAt = Date.now() })
    // The client asks for the group's coordinator only once: if it has moved, only another membership finds it.
    this.member.on('consumer:heartbeat:error', ({ error }) => {
      if (Date.now() - this.aliveAt > options.sessionTimeout) this.failure ??= error
    })
  }

  async join (): Promise<void> {
    this.member.topics.trackAll(...this.topics)
    this.reader.topics.trackAll(...this.topics)
    await this.member.joinGroup()
  }

  /** The assigned partitions, undefined during a rebalance. Throws if the membership is lost. */
  assignment (): Partition[] | undefined {
    if (this.failure) throw new Rejoin(`membership lost: ${reason(this.failure)}`, { cause: this.failure })
    return this.assigned
  }

  /** What Kafka knows of a partition at present. */
  async describe ({ topic, partition }: Partition): Promise<Described> {
    const topics = [topic]
    const list = async (timestamp: bigint): ReturnType<Consumer['listOffsets']> => await this.reader.listOffsets({
      topics, partitions: { [topic]: [partition] }, timestamp, isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED
    })
    const { topics: metadata } = await this.reader.metadata({ topics, forceUpdate: true })
    const earliest = (await list(ListOffsetTimestamps.EARLIEST)).get(topic)?.[partition]
    const latest = (await list(ListOffsetTimestamps.LATEST)).get(topic)?.[partition]
    const committed = await this.reader.listCommittedOffsets({ topics: [{ topic, partitions: [partition] }] })
    const offset = committed.get(topic)?.[partition]
    const topicId = metadata.get(topic)?.id
    if (topicId === undefined || earliest === undefined || latest === undefined) {
      throw new Rejoin(`Kafka does not know partition ${partition} of topic ${topic}`)
    }
    return { topic, partition, topicId, earliest, latest, committed: offset !== undefined && offset >= 0n ? offset : null }
  }

  /** Reads these partitions from now on, and no others. */
  seek (claimed: Array<Described & { offset: bigint }>): void {
    this.partitions = claimed.map(it => ({
      topic: it.topic, partition: it.partition, topicId: it.topicId, position: it.offset, records: []
    }))
    this.fetching = undefined
  }

  /** At most `limit` records, fewer if there are no more after a short while. */
  async poll (limit: number): Promise<Batch> {
    const partitions = this.partitions
    const before = partitions.map(it => it.records[0]?.offset ?? it.position)
    if (partitions.every(it => it.records.length === 0)) await (this.fetching ?? this.fetch())
    this.fetching = undefined
    const batch: Batch = { records: [], offsets: [] }
    for (const [index, fetched] of partitions.entries()) {
      const { topic, partition, records, position } = fetched
      batch.records.push(...records.splice(0, limit - batch.records.length))
      const offset = records[0]?.offset ?? position
      if (offset !== before[index]) batch.offsets.push({ topic, partition, offset })
    }
    if (batch.records.length > 0 && partitions.every(it => it.records.length === 0)) {
      // While the batch is applied. An error is thrown by the next poll.
      this.fetching = this.fetch()
      this.fetching.catch(() => {})
    }
    return batch
  }

  /** Commits offsets to Kafka in the background. They are for displays of lag: nothing resumes there. */
  commit (offsets: Batch['offsets']): void {
    for (const it of offsets) this.toCommit.set(`${it.topic}/${it.partition}`, it)
    // The client drops a commit that is asked for during another one.
    this.committing ??= this.commitAll().finally(() => { this.committing = undefined })
  }

  async close (): Promise<void> {
    const closed = (async () => {
      await this.committing
      // Also cancels what the client would repeat.
      await this.member.leaveGroup(true)
      await this.member.close(true)
      await this.reader.close()
    })()
    const timedOut = sleep(CLOSE_TIMEOUT, undefined, { ref: false }).then(() => { throw new Error('no answer') })
    try {
      await Promise.race([closed, timedOut])
    } catch (error) {
      // Without heartbeats the group drops the member.
      log('warning', `cannot leave the group: ${reason(error)}`)
      await Promise.allSettled([this.member.connections.close(), this.reader.connections.close()])
    }
  }

  private assign (assigned: Partition[] | undefined): void {
    this.changes++
    this.assigned = assigned
    this.partitions = []
    this.fetching = undefined
  }

  private async commitAll (): Promise<void> {
    while (this.toCommit.size > 0) {
      const offsets = [...this.toCommit.values()].map(it => ({ ...it, leaderEpoch: -1 }))
      this.toCommit.clear()
      try {
        await this.member.commit({ offsets })
      } catch (error) {
        log('debug', `cannot commit offsets to Kafka: ${reason(error)}`)
      }
    }
  }

  private async fetch (): Promise<void> {
    const partitions = this.partitions
    const { topics } = await this.reader.metadata({ topics: [...this.topics] })
    const byLeader = new Map<number, Fetched[]>()
    for (const it of partitions) {
      const leader = topics.get(it.topic)?.partitions[it.partition]?.leader ?? -1
      byLeader.set(leader, [...byLeader.get(leader) ?? [], it])
    }
    await Promise.all([...byLeader].map(async ([leader, led]) => await this.fetchFrom(leader, led)))
  }

  private async fetchFrom (leader: number, partitions: Fetched[]): Promise<void> {
    const connection = (await this.reader.connectToBrokers([leader])).get(leader)
    if (!connection) {
      this.reader.clearMetadata()
      throw new Rejoin(`partition ${partitions[0]?.partition} of topic ${partitions[0]?.topic} has no leader`)
    }
    const topics = [...new Set(partitions.map(it => it.topicId))].map(topicId => ({
      topicId,
      partitions: partitions.filter(it => it.topicId === topicId).map(it => ({
        partition: it.partition, fetchOffset: it.position, currentLeaderEpoch: -1, lastFetchedEpoch: -1,
        partitionMaxBytes: MAX_BYTES_OF_A_PARTITION
      }))
    }))
    const response = await fetchV13.api.async(
      connection, LINGER, 1, MAX_BYTES, FetchIsolationLevels.READ_COMMITTED, 0, 0, topics, [], '')
    for (const { topicId, partitions: read } of response.responses) {
      for (const { partitionIndex, records: batches, abortedTransactions } of read) {
        const fetched = partitions.find(it => it.topicId === topicId && it.partition === partitionIndex)
        const last = batches?.at(-1)
        if (!fetched || !batches || !last) continue
        for (const record of committed(fetched, batches, abortedTransactions ?? [])) fetched.records.push(record)
        fetched.position = last.firstOffset + BigInt(last.lastOffsetDelta) + 1n
      }
    }
  }
}

/** The records from the position on, without markers and without those of aborted transactions. */
function * committed (
  { topic, partition, position }: Fetched, batches: RecordsBatch[], aborted: Array<{ producerId: bigint, firstOffset: bigint }>
): Generator<Record> {
  const upcoming = aborted.toSorted((one, other) => Number(one.firstOffset - other.firstOffset))
  const aborting = new Set<bigint>()
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (upcoming[0] && upcoming[0].firstOffset <= last) aborting.add(upcoming.shift()!.producerId)
    if (batch.attributes & IS_CONTROL) {
      // Version, then type: 0 ends an aborted transaction, 1 a committed one.
      if (batch.records[0]?.key?.readInt16BE(2) === 0) aborting.delete(batch.producerId)
      continue
    }
    if (batch.attributes & IS_TRANSACTIONAL && aborting.has(batch.producerId)) continue
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta)
      if (offset < position) continue
      const timestamp = batch.attributes & IS_LOG_APPEND_TIME ? batch.maxTimestamp : batch.firstTimestamp + record.timestampDelta
      const headers = record.headers.map(([name, value]) => [name ?? Buffer.of(), value] as const)
      yield new Record(topic, partition, offset, timestamp, record.key, record.value, headers)
    }
  }
}
