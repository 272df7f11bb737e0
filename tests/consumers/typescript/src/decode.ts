// Values of records: Confluent's wire format, the schema registry and Avro. This module needs no change when copied.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import avro from 'avsc'
import type { Resolver, Type } from 'avsc'
import type { Failure, Record } from './contract.js'

const REQUEST_TIMEOUT = 10_000

/** Passes without help. */
export class RegistryUnavailable extends Error {}

/** The record's value cannot be read. */
export class Undecodable extends Error {
  constructor (reason: string, readonly code: Failure['code'] = 'payload') {
    super(reason)
  }
}

/** The writer's schema cannot be read as the one that the program is written for: the program must be changed. */
export class Unresolvable extends Error {}

// avsc reads a long as a number and throws beyond 2^53: every long is a bigint instead.
const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64LE(value); return bytes },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (one: bigint, other: bigint) => one < other ? -1 : Number(one > other)
})

/** A logical type as exact text, which Postgres can cast. avsc has no logical types of its own. */
abstract class Text extends avro.types.LogicalType {
  readonly scale: number

  constructor (schema: any, options?: any) {
    super(schema, options)
    this.scale = schema.scale ?? 0
  }

  protected abstract text (value: any): string

  protected override _fromValue (value: unknown): string | undefined {
    // Undefined: bytes are missing, which avsc reports at the end.
    return value === undefined ? undefined : this.text(value)
  }

  protected override _resolve (writer: Type): ((value: unknown) => string | undefined) | undefined {
    if (writer instanceof Text) {
      const isSame = writer.constructor === this.constructor && writer.scale === this.scale
      return isSame ? value => value as string : undefined
    }
    const written = writer === LONG ? 'long' : writer.typeName
    const isRead = written === this.underlyingType.typeName || (written === 'int' && this.underlyingType.typeName === 'long')
    return isRead ? value => this._fromValue(value) : undefined
  }
}

class Decimal extends Text {
  protected override text (bytes: Buffer): string {
    const unscaled = bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
    const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(this.scale + 1, '0')
    const point = digits.length - this.scale
    const fraction = this.scale > 0 ? `.${digits.slice(point)}` : ''
    return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`
  }
}

class CalendarDate extends Text {
  protected override text (days: number): string {
    return new Date(days * 86_400_000).toISOString().slice(0, 10)
  }
}

/** Without a zone: 2026-01-31T10:00:00.000. */
class LocalMillis extends Text {
  protected override text (millis: bigint | number): string {
    return new Date(Number(millis)).toISOString().slice(0, -1)
  }
}

class UtcMillis extends Text {
  protected override text (millis: bigint | number): string {
    return new Date(Number(millis)).toISOString()
  }
}

const LOGICAL_TYPES = {
  decimal: Decimal, date: CalendarDate, 'local-timestamp-millis': LocalMillis, 'timestamp-millis': UtcMillis
}

function parse (schema: string): Type {
  return avro.Type.forSchema(JSON.parse(schema), {
    logicalTypes: LOGICAL_TYPES,
    // Numbers below the times: those that a Date can hold are exact.
    typeHook: (it: any) => it === 'long' || (it.type === 'long' && !(it.logicalType in LOGICAL_TYPES)) ? LONG : undefined,
    // A union's value is the value itself.
    wrapUnions: 'never'
  })
}

interface Writer {
  type: Type
  /** Missing: its type is not handled. */
  reader?: Type
  resolver?: Resolver
  /** Why no value that was written with it can be read. */
  problem?: Unresolvable
}

/** Reads values as the versions of the event types that the program is written for. */
export class Decoder {
  private readonly readers: Map<string, Type>
  private readonly writers = new Map<number, Writer>()

  constructor (
    private readonly registryUrl: string, schemas: string, private readonly types: { [type: string]: string },
    private readonly ignored: ReadonlySet<string>
  ) {
    const parsed = Object.entries(types).map(([type, file]) => [type, parse(readFileSync(join(schemas, file), 'utf8'))] as const)
    this.readers = new Map(parsed)
  }

  /** The event's type and data, undefined if the type is ignored. Throws Undecodable, Unresolvable or RegistryUnavailable. */
  async decode (record: Record): Promise<{ type: string, data: unknown } | undefined> {
    const { value } = record
    if (value === null) throw new Undecodable('the value is null')
    if (value.length < 5 || value[0] !== 0) {
      const start = value.subarray(0, 5).toString('hex') || 'empty'
      throw new Undecodable(`the value does not begin with a zero byte and a schema id: ${start}`)
    }
    const id = value.readUInt32BE(1)
    const { type, reader, resolver, problem } = this.writers.get(id) ?? await this.learn(id, record)
    const name = type.name ?? type.typeName
    if (this.ignored.has(name)) return undefined
    if (problem) throw problem
    if (!reader) throw new Undecodable(`type "${name}" is neither handled nor ignored`, 'unknown_type')
    try {
      // Throws if bytes are missing or left.
      return { type: name, data: reader.fromBuffer(value.subarray(5), resolver) }
    } catch (error) {
      throw new Undecodable(`the value cannot be read as "${name}", written with schema ${id}: ${message(error)}`)
    }
  }

  private async learn (id: number, record: Record): Promise<Writer> {
    const schema = await this.request(id)
    let type: Type
    try {
      type = parse(schema)
    } catch (error) {
      const pinned = this.types[record.optional('ce_type') ?? ''] ?? 'any schema'
      throw new Unresolvable(
        `schema ${id} of the registry cannot be parsed to read it as ${pinned}: ${message(error)}; update the Avro library`,
        { cause: error })
    }
    const writer: Writer = { type }
    const name = type.name ?? type.typeName
    const reader = this.readers.get(name)
    if (reader) {
      writer.reader = reader
      try {
        writer.resolver = reader.createResolver(type)
      } catch (error) {
        writer.problem = new Unresolvable(
          `schema ${id} of the registry does not resolve to ${this.types[name]}: ${message(error)}; ` +
          'write the program for a version to which it resolves', { cause: error })
      }
    }
    this.writers.set(id, writer)
    return writer
  }

  private async request (id: number): Promise<string> {
    const url = `${this.registryUrl.replace(/\/$/, '')}/schemas/ids/${id}`
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT) })
      if (response.status === 404) throw new Undecodable(`the registry has no schema ${id}`)
      if (!response.ok) throw new Error(`status ${response.status}`)
      const { schema, schemaType } = await response.json() as { schema: string, schemaType?: string | null }
      if ((schemaType ?? 'AVRO') !== 'AVRO') throw new Undecodable(`schema ${id} of the registry is not of Avro but of type ${schemaType}`)
      return schema
    } catch (error) {
      if (error instanceof Undecodable) throw error
      throw new RegistryUnavailable(`${url}: ${message(error)}`, { cause: error })
    }
  }
}

const message = (error: unknown): string => error instanceof Error ? error.message : String(error)
