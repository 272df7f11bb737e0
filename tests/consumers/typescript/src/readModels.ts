// The read models: replace this module with your own, and the tables in migrations/.
//
// `apply` is called with the batch's events in their order, in an open transaction. It changes tables of your own and
// nothing else. If it throws, it is called again with one event at a time, and events that throw are parked.

import type { ClientBase } from 'pg'

export const PROJECTION = 'shop_typescript'
export const TOPICS = ['shop.orders']

/** The fields that are used here. Decimals, dates and times are exact text, a long is a bigint. */
interface Events {
  'shop.orders.OrderCreated':
    { orderId: string, customerId: string | null, placedAt: string, country: string, lines: unknown[], total: string }
  'shop.orders.OrderConfirmed': { orderId: string, day: string, country: string, confirmed: string }
  'shop.orders.OrderRejected': { orderId: string }
  'shop.orders.OrderCancelled': { orderId: string }
  'shop.orders.ReturnReceived': { receivedAt: string, country: string, total: string }
}

// Event types, each with the schema that this module is written for: writers' schemas are resolved to it.
export const TYPES: { [type in keyof Events]: string } = {
  'shop.orders.OrderCreated': 'orders/OrderCreated/v2.avsc',
  'shop.orders.OrderConfirmed': 'orders/OrderConfirmed/v1.avsc',
  'shop.orders.OrderRejected': 'orders/OrderRejected/v1.avsc',
  'shop.orders.OrderCancelled': 'orders/OrderCancelled/v1.avsc',
  'shop.orders.ReturnReceived': 'orders/ReturnReceived/v1.avsc'
}
// Types that the topics carry and that do not matter here. Any other type is parked.
export const IGNORED: ReadonlySet<string> = new Set()

interface Metadata {
  stream: string
  revision: bigint | null
  position: bigint | null
  traceparent: string | null
}

export type Event = { [type in keyof Events]: Metadata & { type: type, data: Events[type] } }[keyof Events]

export async function apply (client: ClientBase, events: Event[]): Promise<void> {
  await applyOrders(client, events)
  await applyRevenue(client, events)
}

interface Change {
  state: string
  confirmed: string | null
  revision: bigint | null
  position: bigint | null
}

/** A row per order: two statements a batch, however large. */
async function applyOrders (client: ClientBase, events: Event[]): Promise<void> {
  const created = events.filter(event => event.type === 'shop.orders.OrderCreated')
  // The last state of an order is the one that counts, but a confirmed amount stays.
  const changes = new Map<string, Change>()
  const change = ({ revision, position }: Event, orderId: string, state: string, confirmed: string | null = null): void => {
    changes.set(orderId, { state, confirmed: confirmed ?? changes.get(orderId)?.confirmed ?? null, revision, position })
  }
  for (const event of events) {
    switch (event.type) {
      case 'shop.orders.OrderConfirmed': change(event, event.data.orderId, 'confirmed', event.data.confirmed); break
      case 'shop.orders.OrderRejected': change(event, event.data.orderId, 'rejected'); break
      case 'shop.orders.OrderCancelled': change(event, event.data.orderId, 'cancelled'); break
    }
  }
  if (created.length > 0) {
    await client.query(`
      insert into shop_typescript.orders
          (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
      select order_id, customer_id, placed_at, placed_at::date, country, 'created', lines, total, revision, position
        from unnest($1::text[], $2::text[], $3::timestamp[], $4::text[], $5::integer[], $6::numeric[], $7::bigint[], $8::bigint[])
          as created (order_id, customer_id, placed_at, country, lines, total, revision, position)`,
    [
      created.map(it => it.data.orderId), created.map(it => it.data.customerId), created.map(it => it.data.placedAt),
      created.map(it => it.data.country), created.map(it => it.data.lines.length), created.map(it => it.data.total),
      created.map(it => it.revision), created.map(it => it.position)
    ])
  }
  if (changes.size > 0) {
    const rows = [...changes.values()]
    const updated = await client.query(`
      update shop_typescript.orders o
         set state = changed.state, confirmed = coalesce(changed.confirmed, o.confirmed), revision = changed.revision,
             position = changed.position
        from unnest($1::text[], $2::text[], $3::numeric[], $4::bigint[], $5::bigint[])
          as changed (order_id, state, confirmed, revision, position)
       where o.order_id = changed.order_id`,
    [
      [...changes.keys()], rows.map(it => it.state), rows.map(it => it.confirmed), rows.map(it => it.revision),
      rows.map(it => it.position)
    ])
    if (updated.rowCount !== changes.size) throw new Error(`orders without a row: one of ${[...changes.keys()].join(', ')}`)
  }
}

/** Sums per day and country. Several instances add to one row: all lock them in the same order, or they deadlock. */
async function applyRevenue (client: ClientBase, events: Event[]): Promise<void> {
  const rows: Array<{ day: string, country: string, ordered?: string, returned?: string, confirmed?: string }> = []
  for (const { type, data } of events) {
    switch (type) {
      case 'shop.orders.OrderCreated':
        rows.push({ day: data.placedAt.slice(0, 10), country: data.country, ordered: data.total })
        break
      case 'shop.orders.ReturnReceived':
        rows.push({ day: data.receivedAt.slice(0, 10), country: data.country, returned: data.total })
        break
      case 'shop.orders.OrderConfirmed':
        rows.push({ day: data.day, country: data.country, confirmed: data.confirmed })
    }
  }
  if (rows.length === 0) return
  // Postgres adds: JavaScript has no decimals.
  await client.query(`
    insert into shop_typescript.revenue as r (day, country, ordered, returned, confirmed)
    select day, country, coalesce(sum(ordered), 0), coalesce(sum(returned), 0), coalesce(sum(confirmed), 0)
      from jsonb_to_recordset($1)
        as event (day date, country text, ordered numeric, returned numeric, confirmed numeric)
     group by day, country
     order by day, country
        on conflict (day, country) do update
       set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
           confirmed = r.confirmed + excluded.confirmed`,
  [JSON.stringify(rows)])
}
