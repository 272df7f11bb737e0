"""Writes the vectors of this folder: python write.py, with fastavro. README.md describes them."""

import base64
import io
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import fastavro

FOLDER = Path(__file__).parent
SCHEMAS = FOLDER.parents[2] / "schemas"
TOPIC, SOURCE = "shop.orders", "aqueduct/eventstore"


def schema_of(file: str) -> dict:
    return json.loads((SCHEMAS / file).read_text())


CREATED, CONFIRMED, CANCELLED = map(
    schema_of, ["orders/OrderCreated/v2.avsc", "orders/OrderConfirmed/v1.avsc", "orders/OrderCancelled/v1.avsc"])
# Under its id, each schema that the registry has.
REGISTRY = {
    1: CREATED,
    2: CONFIRMED,
    3: CANCELLED,
    # Resolves: a field more, and another order.
    4: CANCELLED | {"fields": [{"name": "note", "type": "string"}, *reversed(CANCELLED["fields"])]},
    # Resolves by the alias "customer".
    5: CREATED | {"fields": [it | {"name": "customer", "aliases": []} if it["name"] == "customerId" else it
                             for it in CREATED["fields"]]},
    # Does not resolve: placedAt and others are missing.
    6: schema_of("orders/OrderCreated/v1.avsc"),
    7: {"type": "record", "name": "OrderShipped", "namespace": "shop.orders",
        "fields": [{"name": "orderId", "type": "string"}]},
}
# Not a schema of Avro.
PROTOBUF_ID = 8
PROTOBUF = 'syntax = "proto3";\nmessage OrderCreated { string order_id = 1; }\n'
UNKNOWN_ID = 2**31 - 1


def created(order: str) -> dict:
    return {"orderId": order, "customerId": "17850", "placedAt": "2010-12-01T08:26:00.000", "country": "Österreich",
            "currency": "GBP", "charges": [], "total": "1530.000",
            "lines": [{"sku": "85123A", "description": "WHITE HANGING HEART T-LIGHT HOLDER", "quantity": 6,
                       "unitPrice": "255.000"}]}


def confirmed(order: str) -> dict:
    return {"orderId": order, "day": "2010-12-01", "country": "Österreich", "currency": "GBP", "refused": [],
            "reserved": [{"sku": "85123A", "quantity": 6}], "confirmed": "-0.001"}


def cancelled(order: str) -> dict:
    return {"orderId": order, "returnId": "C1"}


def avro(schema: dict, data: dict) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), typed(data))
    return body.getvalue()


def typed(value):
    """The plain JSON mapping as fastavro writes it."""
    if isinstance(value, list):
        return [typed(it) for it in value]
    if not isinstance(value, dict):
        return value
    read = {"placedAt": datetime.fromisoformat, "day": date.fromisoformat} | dict.fromkeys(
        ["unitPrice", "total", "confirmed"], Decimal)
    return {name: read[name](it) if name in read else typed(it) for name, it in value.items()}


class Records:
    """Records of a partition, with the offsets that they get."""

    def __init__(self) -> None:
        self.next_offset = 0

    def record(self, result, data=None, *, stream=None, revision=None, previous=None, schema=1, written=None,
               failed=None, value=None, key=None, headers=None, without=(), halts=False, time="2010-12-01T08:26:00Z"):
        """A record of the relay, with changes. `value`: instead of the encoded one; a function gets that one."""
        name = f"shop.orders.{REGISTRY[schema]['name']}"
        body = b"\0" + schema.to_bytes(4) + avro(REGISTRY[schema], written or data or {})
        if callable(value):
            body = value(body)
        elif value is not None:
            body = value
        all_headers = {"content-type": "application/avro", "ce_specversion": "1.0", "ce_id": f"{revision}@{stream}",
                       "ce_type": name, "ce_source": SOURCE, "ce_subject": stream, "ce_time": time,
                       "ce_eventid": str(uuid5(NAMESPACE_URL, f"{revision}@{stream}")), "ce_revision": str(revision),
                       "ce_previousrevision": None if previous is None else str(previous),
                       "ce_position": str(1000 + self.next_offset), "ce_schemaversion": "1"} | (headers or {})
        pairs = {header: it if isinstance(it, bytes) else it.encode()
                 for header, it in all_headers.items() if it is not None and header not in without}
        key = stream.encode() if key is None else key
        record = {
            "offset": self.next_offset, "timestamp": 1291191960000, "key": encoded(key), "value": encoded(body),
            "headers": [{"name": header, "value": encoded(it)} for header, it in pairs.items()],
        }
        self.next_offset += 1
        unread = failed in ("payload", "unknown_type") or halts
        expected = {"type": None if unread else name, "data": None if unread else data, "failed": failed}
        if halts:
            return record | expected | {"halts": True}
        envelope = {header: pairs[header] for header in (
            "ce_source", "ce_subject", "ce_id", "ce_eventid", "ce_revision", "ce_previousrevision", "ce_time")
            if header in pairs} | ({"key": key} if key else {})
        return record | expected | {"envelope": texts(envelope), "result": result}


def encoded(value):
    return None if value is None else base64.b64encode(value).decode()


def texts(envelope: dict[str, bytes]) -> dict[str, str]:
    """What is not text that Postgres can hold is left out."""
    def readable(value: bytes) -> bool:
        try:
            return "\0" not in value.decode()
        except UnicodeDecodeError:
            return False
    return {name: value.decode() for name, value in envelope.items() if readable(value)}


def vectors():
    r = Records()
    yield "applied", "Events in order, and one that does not say what precedes it.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1),
            r.record("new", confirmed("1"), stream="order-1", revision=1, previous=0, schema=2),
            r.record("new", created("2") | {"customerId": None}, stream="order-2", revision=0, previous=-1)]},
        {"batch": [
            r.record("new", cancelled("1"), stream="order-1", revision=2, previous=1, schema=3),
            r.record("unjudged", cancelled("2"), stream="order-2", revision=7, schema=3),
            r.record("new", cancelled("2"), stream="order-2", revision=9, previous=7, schema=3)]}]

    r = Records()
    first = dict(data=created("1"), stream="order-1", revision=0, previous=-1)
    second = dict(data=confirmed("1"), stream="order-1", revision=1, previous=0, schema=2)
    yield "duplicate", "Records that come again, in the same batch and later.", [
        {"batch": [r.record("new", **first), r.record("duplicate", **first), r.record("new", **second)]},
        {"batch": [r.record("duplicate", **second), r.record("duplicate", **first)]}]

    r = Records()
    yield "gap", "Events are missing and come later: the stream's parked events are applied then, in order.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1),
            r.record("gap", cancelled("1"), stream="order-1", revision=3, previous=2, schema=3),
            r.record("gap", confirmed("2"), stream="order-2", revision=1, previous=0, schema=2)]},
        {"batch": [
            r.record("blocked", confirmed("1"), stream="order-1", revision=2, previous=1, schema=2),
            r.record("blocked", cancelled("1"), stream="order-1", revision=1, previous=0, schema=3)]},
        {"held": [4, 3, 1]},
        {"batch": [r.record("new", cancelled("1"), stream="order-1", revision=4, previous=3, schema=3)]}]

    r = Records()

    def poison(stream: str, **changes):
        event = dict(data=created("1"), stream=stream, revision=0, previous=-1) | changes
        return r.record("invalid", **event)
    yield "unreadable-value", "Values that cannot be read block their streams, and no others.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1),
            poison("null", value=b"", failed="payload") | {"value": None},
            poison("empty", value=b"", failed="payload"),
            poison("short", value=b"\0\0\0\0", failed="payload"),
            poison("first-byte", value=lambda it: b"\1" + it[1:], failed="payload"),
            poison("unknown-id", value=lambda it: b"\0" + UNKNOWN_ID.to_bytes(4) + it[5:], failed="payload"),
            poison("protobuf", value=b"\0" + PROTOBUF_ID.to_bytes(4) + b"\0\x0a\x011", failed="payload"),
            poison("truncated", value=lambda it: it[:-1], failed="payload"),
            poison("bytes-left", value=lambda it: it + b"\0", failed="payload"),
            poison("unknown-type", data={"orderId": "1"}, schema=7, failed="unknown_type"),
            r.record("blocked", cancelled("1"), stream="truncated", revision=1, previous=0, schema=3),
            r.record("new", confirmed("1"), stream="order-1", revision=1, previous=0, schema=2)]},
        {"batch": [r.record("blocked", cancelled("1"), stream="null", revision=1, previous=0, schema=3)]},
        {"held": []}]

    r = Records()
    yield "unreadable-envelope", "Headers or keys that cannot be used. Without a revision the stream is the key.", [
        {"batch": [
            poison("not-utf-8", headers={"ce_eventid": b"\xff"}, failed="headers"),
            poison("zero", headers={"ce_id": "a\0b"}, failed="headers"),
            poison("no-headers", headers=dict.fromkeys(
                ["content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_eventid",
                 "ce_revision", "ce_previousrevision", "ce_position", "ce_schemaversion"])),
            poison("revision", headers={"ce_revision": "first"}),
            poison("too-large", headers={"ce_revision": "9223372036854775808"}),
            poison("previous", headers={"ce_previousrevision": "-2"}),
            poison("other-key", key=b"order-1"),
            poison("no-source", without=["ce_source"])]}]

    r = Records()

    def another(data, **place):
        name = f"another event {r.next_offset}"
        return r.record("conflict", data, headers={"ce_eventid": str(uuid5(NAMESPACE_URL, name))}, **place)
    yield "conflict", "Another event under a revision that was applied. The stream continues.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1),
            another(created("9"), stream="order-1", revision=0, previous=-1),
            r.record("new", confirmed("1"), stream="order-1", revision=1, previous=0, schema=2)]}]

    r = Records()
    later = dict(stream="order-1", revision=2, previous=1, schema=3)
    yield "parked-conflict", "Another event under a revision of which one is parked. It is parked alone, in whatever batch it is.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1),
            r.record("gap", cancelled("1"), **later),
            another(cancelled("9"), **later),
            r.record("invalid", created("2"), stream="order-2", revision=0, previous=-1, value=b"", failed="payload"),
            another(created("9"), stream="order-2", revision=0, previous=-1)]},
        {"batch": [another(cancelled("8"), **later)]},
        {"batch": [r.record("blocked", confirmed("1"), stream="order-1", revision=1, previous=0, schema=2)]},
        {"held": [6, 1]},
        {"batch": [
            another(cancelled("7"), **later),
            another(created("8"), stream="order-2", revision=0, previous=-1),
            r.record("new", cancelled("1"), stream="order-1", revision=3, previous=2, schema=3)]}]

    r = Records()
    foreign = dict(stream="order-1", without=["ce_subject", "ce_eventid", "ce_revision", "ce_previousrevision",
                                              "ce_position", "ce_schemaversion"])

    def message(result: str, number: str, time: str):
        return r.record(result, created("1"), headers={"ce_id": number}, time=time, **foreign)
    old, new = "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"
    yield "other-producers", "Records without a revision are known by source and id, until the ids are removed.", [
        {"batch": [message("new", "1", new), message("new", "2", old), message("duplicate", "1", new)]},
        {"batch": [message("duplicate", "2", old)]},
        {"prune": "2026-11-10T00:00:00Z"},
        {"batch": [message("undecidable", "2", old), message("duplicate", "1", new), message("new", "3", new)]}]

    r = Records()
    yield "other-versions", "Values whose writer had another schema that resolves to the reader's.", [
        {"batch": [
            r.record("new", created("1"), stream="order-1", revision=0, previous=-1, schema=5,
                     written={"customer" if name == "customerId" else name: it for name, it in created("1").items()}),
            r.record("new", cancelled("1"), stream="order-1", revision=1, previous=0, schema=4,
                     written=cancelled("1") | {"note": "left out"})]}]

    r = Records()
    v1 = {"orderId": "1", "customer": None, "placed": "2010-12-01 08:26:00", "country": "EIRE", "lines": [], "charges": []}
    yield "unresolvable-schema", "A writer's schema that does not resolve to the reader's halts the consumer.", [
        {"batch": [r.record(None, stream="order-1", revision=0, previous=-1, schema=6, written=v1, halts=True)]}]


def main() -> None:
    for schema_id, schema in REGISTRY.items():
        write(FOLDER / f"registry/{schema_id}.avsc", schema)
    (FOLDER / f"registry/{PROTOBUF_ID}.proto").write_text(PROTOBUF)
    for name, about, steps in vectors():
        write(FOLDER / f"{name}.json", {"about": about, "topic": TOPIC, "partition": 0, "steps": steps})


def write(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
