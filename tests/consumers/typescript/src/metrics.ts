// Metrics for Prometheus.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Counter, Gauge, register } from 'prom-client'
import { log } from './log.js'

export const RECORDS = new Counter({
  name: 'consumer_records_total', help: 'Records by the result of receive', labelNames: ['result']
})
export const HELD = new Counter({ name: 'consumer_held_total', help: 'Parked events that were applied later' })
export const BATCHES = new Counter({ name: 'consumer_batches_total', help: 'Committed transactions' })
export const RETRIES = new Counter({ name: 'consumer_retries_total', help: 'Attempts that failed and were repeated' })
export const REJOINS = new Counter({ name: 'consumer_rejoins_total', help: 'Times that the group was left and joined again' })
export const ASSIGNED = new Gauge({ name: 'consumer_partitions', help: 'Partitions that this instance owns' })

/** Serves them at `address`, host:port. */
export async function serveMetrics (address: string): Promise<void> {
  const server = createServer((_, response) => {
    register.metrics().then(
      text => response.setHeader('content-type', register.contentType).end(text),
      error => response.writeHead(500).end(String(error)))
  })
  const colon = address.lastIndexOf(':')
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(Number(address.slice(colon + 1)), address.slice(0, colon), resolve)
  })
  log('info', `serving metrics on http://${address.slice(0, colon)}:${(server.address() as AddressInfo).port}/metrics`)
}
