// A line of JSON on standard error for each message.

const LEVELS = ['debug', 'info', 'warning', 'error'] as const
type Level = typeof LEVELS[number]

const least = Math.max(0, LEVELS.indexOf((process.env['LOG_LEVEL'] ?? 'info').toLowerCase() as Level))

export function log (level: Level, message: string, fields: { traceparent?: string | null, error?: unknown } = {}): void {
  if (LEVELS.indexOf(level) < least) return
  const { traceparent, error } = fields
  const line = {
    time: new Date().toISOString(),
    level,
    message,
    ...(traceparent != null && { traceparent }),
    ...(error !== undefined && { error: error instanceof Error ? error.stack : String(error) })
  }
  process.stderr.write(`${JSON.stringify(line)}\n`)
}
