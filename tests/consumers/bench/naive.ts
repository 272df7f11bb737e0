// Keeps the tables of the template, row by row: a transaction for each record, no contract. Only for comparison. It is
// compiled with the template and decodes as it does: the Avro library has neither decimals nor numbers of 64 bits.

import { Consumer } from '@platformatic/kafka'
import pg from 'pg'
import { Record } from './contract.js'
import { Decoder } from './decode.js'
import { IGNORED, TYPES } from './readModels.js'
import type { Event } from './readModels.js'

const ADD_REVENUE = `
  insert into naive.revenue as r (day, country, ordered, returned, confirmed) values ($1, $2, $3, $4, $5)
      on conflict (day, country) do update
     set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
         confirmed = r.confirmed + excluded.confirmed`

const client = new pg.Client({ connectionString: required('AQUEDUCT_POSTGRES__URL') })

function required (name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`environment variable ${name} is missing`)
  return value
}

async function apply ({ type, data }: Event, revision: string, position: string): Promise<void> {
  switch (type) {
    case 'shop.orders.OrderCreated':
      await client.query(`
        insert into naive.orders
            (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
        values ($1, $2, $3::timestamp, $3::timestamp::date, $4, 'created', $5, $6, $7, $8)`,
      [data.orderId, data.customerId, data.placedAt, data.country, data.lines.length, data.total, revision, position])
      await client.query(ADD_REVENUE, [data.placedAt.slice(0, 10), data.country, data.total, 0, 0])
      break
    case 'shop.orders.OrderConfirmed':
      await client.query(`
        update naive.orders set state = 'confirmed', confirmed = $1, revision = $2, position = $3 where order_id = $4`,
      [data.confirmed, revision, position, data.orderId])
      await client.query(ADD_REVENUE, [data.day, data.country, 0, 0, data.confirmed])
      break
    case 'shop.orders.OrderRejected':
    case 'shop.orders.OrderCancelled':
      await client.query('update naive.orders set state = $1, revision = $2, position = $3 where order_id = $4',
        [type.slice('shop.orders.Order'.length).toLowerCase(), revision, position, data.orderId])
      break
    case 'shop.orders.ReturnReceived':
      await client.query(ADD_REVENUE, [data.receivedAt.slice(0, 10), data.country, 0, data.total, 0])
  }
}

const decoder = new Decoder(required('AQUEDUCT_REGISTRY__URL'), required('AQUEDUCT_SCHEMAS__DIRECTORY'), TYPES, IGNORED)
const consumer = new Consumer({
  clientId: 'naive',
  groupId: required('AQUEDUCT_KAFKA__GROUP'),
  bootstrapBrokers: required('AQUEDUCT_KAFKA__BROKERS').split(',')
})
await client.connect()
const stream = await consumer.consume({
  topics: required('AQUEDUCT_TOPICS').split(','), mode: 'committed', fallbackMode: 'earliest', autocommit: true
})
for await (const { topic, partition, offset, timestamp, key, value, headers } of stream) {
  const texts = new Map([...headers].map(([name, it]) => [name.toString(), it.toString()]))
  const decoded = await decoder.decode(new Record(topic, partition, offset, timestamp, key, value, []))
  await client.query('begin')
  await apply(decoded as Event, texts.get('ce_revision') ?? '', texts.get('ce_position') ?? '')
  await client.query('commit')
}
