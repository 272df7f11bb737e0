// One connection to Postgres, and transactions on it. This module needs no change when the program is copied.

import pg from 'pg'
import type { ClientBase } from 'pg'

const CONNECT_TIMEOUT = 10_000

/** Passes without help. */
export class ConnectionLost extends Error {}

export function sqlState (error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

export class Database {
  private client: pg.Client | undefined

  constructor (private readonly url: string, private readonly applicationName: string) {}

  /** Throws ConnectionLost, also if it is not known whether the commit succeeded. */
  async transaction<T> (work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = this.client ?? await this.connect()
    try {
      await client.query('begin')
      const result = await work(client)
      await client.query('commit')
      return result
    } catch (error) {
      await this.rollback(client, 'rollback')
      // The driver reports a lost connection with errors of several kinds.
      if (this.client !== client && sqlState(error) === undefined) {
        throw new ConnectionLost(`the connection to Postgres is lost: ${String(error)}`, { cause: error })
      }
      throw error
    }
  }

  /** Keeps what `work` did if it returns true. */
  async savepoint (client: ClientBase, work: () => Promise<boolean>): Promise<boolean> {
    await client.query('savepoint before')
    try {
      const isKept = await work()
      if (!isKept) await client.query('rollback to savepoint before')
      await client.query('release savepoint before')
      return isKept
    } catch (error) {
      await this.rollback(client, 'rollback to savepoint before; release savepoint before')
      throw error
    }
  }

  isLost (client: ClientBase): boolean {
    return this.client !== client
  }

  private async connect (): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: this.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      keepAlive: true
    })
    // Emitted before the query that fails because of it is told.
    client.on('error', () => this.forget(client))
    try {
      await client.connect()
    } catch (error) {
      client.end().catch(() => {})
      if (sqlState(error) !== undefined) throw error
      throw new ConnectionLost(`no connection to Postgres: ${String(error)}`, { cause: error })
    }
    this.client = client
    return client
  }

  /** Does not throw: the error that led here says more. */
  private async rollback (client: ClientBase, statement: string): Promise<void> {
    try {
      await client.query(statement)
    } catch {
      this.forget(client)
    }
  }

  private forget (client: ClientBase): void {
    if (this.client !== client) return
    this.client.end().catch(() => {})
    this.client = undefined
  }
}
