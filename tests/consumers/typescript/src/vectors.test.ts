// Plays the golden vectors. AQUEDUCT_VECTORS and AQUEDUCT_SCHEMAS__DIRECTORY name their folders.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { Record } from './contract.js'
import { Decoder, Undecodable, Unresolvable } from './decode.js'
import { IGNORED, TYPES } from './readModels.js'

const VECTORS = process.env['AQUEDUCT_VECTORS'] ?? '../../conformance/vectors'
const SCHEMAS = process.env['AQUEDUCT_SCHEMAS__DIRECTORY'] ?? '../../../schemas'

interface Expected {
  offset: number
  timestamp: number
  key: string | null
  value: string | null
  headers: Array<{ name: string, value: string }>
  type: string | null
  data: unknown
  failed: string | null
  halts?: true
  envelope: object
}

interface Vector {
  topic: string
  partition: number
  steps: Array<{ batch?: Expected[] }>
}

const registry = createServer((request, response) => {
  const file = join(VECTORS, 'registry', basename(request.url ?? ''))
  const answer = (schema: string, type: object): void => {
    response.end(JSON.stringify({ schema: readFileSync(schema, 'utf8'), ...type }))
  }
  if (existsSync(`${file}.avsc`)) answer(`${file}.avsc`, {})
  else if (existsSync(`${file}.proto`)) answer(`${file}.proto`, { schemaType: 'PROTOBUF' })
  else response.writeHead(404).end()
})
before(async () => { await new Promise<void>(resolve => registry.listen(0, '127.0.0.1', resolve)) })
after(() => registry.close())

for (const file of readdirSync(VECTORS).filter(it => it.endsWith('.json'))) {
  test(file, async () => {
    const { topic, partition, steps }: Vector = JSON.parse(readFileSync(join(VECTORS, file), 'utf8'))
    const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`
    const decoder = new Decoder(url, SCHEMAS, TYPES, IGNORED)
    for (const expected of steps.flatMap(it => it.batch ?? [])) {
      const { type, data, failed, halts, envelope, ...raw } = expected
      const headers = raw.headers.map(({ name, value }) => [Buffer.from(name), bytes(value)] as const)
      const [offset, timestamp] = [BigInt(raw.offset), BigInt(raw.timestamp)]
      const record = new Record(topic, partition, offset, timestamp, bytes(raw.key), bytes(raw.value), headers)
      if (halts) {
        await assert.rejects(decoder.decode(record), Unresolvable)
        continue
      }
      const decoded = await decoder.decode(record).catch(error => {
        if (error instanceof Undecodable) return error
        throw error
      })
      const [fields, problem] = record.envelope()
      const isDecoded = !(decoded instanceof Undecodable)
      assert.equal(problem === undefined ? (isDecoded ? null : decoded.code) : 'headers', failed, `${file}@${offset}`)
      const read = isDecoded ? { type: decoded?.type, data: json(decoded?.data) } : { type: null, data: null }
      assert.deepEqual(read, { type, data }, `${file}@${offset}`)
      const known = Object.fromEntries(Object.entries(fields).filter(([, it]) => it !== null))
      assert.deepEqual(known, { ...envelope, topic, partition, offset, timestamp }, `${file}@${offset}`)
    }
  })
}

function bytes (text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}

/** Without the classes of the Avro library. */
function json (value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
