// Appends the events of standard input, one JSON object a line, with the vendor's client for Node.
//
// usage: node append.js CONNECTION_STRING < events.jsonl
//
// A line has `stream`, `id`, `type`, `contentType`, `data` or `dataBase64`, and `metadata`, in the order of the log.
// The order within a stream is kept; streams are appended to concurrently.

import readline from "node:readline";
import { EventStoreDBClient } from "@eventstore/db-client";

const WINDOW = 2000;
const CONCURRENCY = 32;

// JSON that is sent as it is: `1.50` stays `1.50`. The client passes the data of JSON events to JSON.stringify.
class Verbatim {
  constructor(text) {
    this.text = text;
  }
}
const stringify = JSON.stringify;
JSON.stringify = (value, ...rest) => (value instanceof Verbatim ? value.text : stringify(value, ...rest));

function toEvent(line) {
  const isJson = line.contentType === "application/json" && line.data !== undefined;
  const bytes = () => Uint8Array.from(Buffer.from(line.dataBase64 ?? line.data ?? "", line.dataBase64 ? "base64" : "utf8"));
  return {
    id: line.id,
    type: line.type,
    contentType: isJson ? "application/json" : "application/octet-stream",
    data: isJson ? new Verbatim(line.data) : bytes(),
    metadata: line.metadata ? Uint8Array.from(Buffer.from(line.metadata, "utf8")) : undefined,
  };
}

async function appendAll(client, streams) {
  const waiting = [...streams.entries()];
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [stream, events] = next;
      await client.appendToStream(stream, events);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

// The client gives up an append after ten seconds, which a machine that builds and tests may need.
const url = new URL(process.argv[2]);
url.searchParams.set("defaultDeadline", "300000");
const client = EventStoreDBClient.connectionString(url.href);
let streams = new Map();
let held = 0;
let total = 0;
for await (const text of readline.createInterface({ input: process.stdin })) {
  const line = JSON.parse(text);
  const events = streams.get(line.stream);
  if (events === undefined) streams.set(line.stream, [toEvent(line)]);
  else events.push(toEvent(line));
  total += 1;
  held += 1;
  if (held === WINDOW) {
    await appendAll(client, streams);
    streams = new Map();
    held = 0;
  }
}
await appendAll(client, streams);
await client.dispose();
console.log(`${total} events appended`);
