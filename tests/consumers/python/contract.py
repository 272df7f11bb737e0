"""The contract: the SQL functions of the schema aqueduct_consumer, each called in the caller's transaction.

This module needs no change when the program is copied.
"""

import base64
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

GENERATION = 1
APPLIED = ("new", "unjudged")
DROPPED = ("duplicate",)
ENVELOPE = ("ce_source", "ce_subject", "ce_id", "ce_eventid", "ce_revision", "ce_previousrevision", "ce_time")

STALE = "AQ001"
UNKNOWN, FORBIDDEN, HALTED = "AQ010", "AQ011", "AQ012"
STATEMENT_TIMEOUT = "57014"
# Classes and codes that pass without help: connection, rollback, resources, operator, standby, locks, idle time-outs.
PASSING = ("08", "40", "53", "57", "25006", "25P03", "55P03")
# Errors of an event's data, which only this event has: cardinality, data, constraint, raised by a function.
OF_DATA = ("21", "22", "23", "44", "P0")


class Halted(Exception):
    """The projection cannot continue until a person has acted."""


class Partition(NamedTuple):
    topic: str
    number: int


@dataclass(frozen=True)
class Record:
    """A record as Kafka has it. Headers keep their order, and may occur twice."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    def text(self, name: str) -> str | None:
        """A header as text. Raises ValueError if it is none that Postgres can hold."""
        value = next((value for header, value in self.headers if header == name), None)
        return None if value is None else as_text(value, f"header {name}")

    def envelope(self) -> tuple[dict[str, Any], str | None]:
        """What receive wants to know of the record, and why a part of it cannot be read."""
        place = {"topic": self.topic, "partition": self.partition, "offset": self.offset, "timestamp": self.timestamp}
        problem = None
        try:
            place["key"] = None if self.key is None else as_text(self.key, "the key")
        except ValueError as error:
            problem = str(error)
        for name in ENVELOPE:
            try:
                place[name] = self.text(name)
            except ValueError as error:
                problem = problem or str(error)
        return place, problem

    def parked(self) -> dict[str, Any]:
        try:
            event_type = self.text("ce_type")
        except ValueError:
            event_type = None
        headers = [{"name": storable(name), "value": encoded(value)} for name, value in self.headers]
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset, "event_type": event_type,
                "key": encoded(self.key), "value": encoded(self.value), "headers": headers}


def as_text(value: bytes, what: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{what} contains U+0000, which Postgres cannot store")
    return text


def storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def failure(code: str, reason: object) -> dict[str, str]:
    return {"code": code, "reason": storable(str(reason))[:1000]}


def encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def decoded(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


class Contract:
    """The functions for one projection, on one connection."""

    def __init__(self, connection: psycopg.Connection, projection: str) -> None:
        self.connection = connection
        self.projection = projection

    def claim(self, partition: Partition, topic_id: str | None, earliest: int, latest: int,
              committed: int | None, consumer: str) -> Any:
        """Makes this consumer the partition's owner: its epoch and next_offset, or a problem if the result is halted."""
        try:
            (row,) = self._call("claim", partition.topic, topic_id, partition.number, earliest, latest, committed, consumer)
        except (InsufficientPrivilege, InvalidSchemaName) as error:
            # The role owns no projection, or the functions are not installed in this database.
            login = self.connection.info
            raise Halted(
                f'role "{login.user}" may not act for projection "{self.projection}" in database "{login.dbname}" '
                f"({error.diag.message_primary}): run there aqueduct projection install {self.projection} --owner ROLE, "
                "with a role of which it is a member") from error
        return row

    def next_held(self, epochs: dict[Partition, int], limit: int, failed: list[dict]) -> list[tuple[int, Record]]:
        """Parked events whose turn it is, with their ids."""
        return [
            (row.id, Record(row.topic, row.partition, row.offset, None, decoded(row.key), decoded(row.value),
                            [(header["name"], decoded(header["value"])) for header in row.headers]))
            for row in self._call("next_held", self._partitions(epochs), limit, Jsonb(failed))
        ]

    def receive(self, epochs: dict[Partition, int], envelopes: list[dict], failed: list[dict]) -> list[Any]:
        """One row a record, in their order: ordinal, result, reason."""
        return self._call("receive", self._partitions(epochs), Jsonb(envelopes), Jsonb(failed))

    def park(self, records: list[Record]) -> None:
        if records:
            self._call("park", Jsonb([record.parked() for record in records]))

    def advance(self, epochs: dict[Partition, int], offsets: dict[Partition, int]) -> None:
        moved = [{"topic": it.topic, "partition": it.number, "epoch": epochs[it], "next_offset": offset}
                 for it, offset in offsets.items()]
        self._call("advance", Jsonb(moved))

    @staticmethod
    def _partitions(epochs: dict[Partition, int]) -> Jsonb:
        return Jsonb([{"topic": it.topic, "partition": it.number, "epoch": epoch} for it, epoch in epochs.items()])

    def _call(self, function: str, *arguments: Any) -> list[Any]:
        # The casts choose the function: a driver sends numbers in the smallest type that holds them.
        types = {"claim": "text text integer bigint bigint bigint text", "next_held": "jsonb integer jsonb",
                 "receive": "jsonb jsonb jsonb", "park": "jsonb", "advance": "jsonb"}[function].split()
        values = ", ".join(["%s::text", "%s::integer", *(f"%s::{it}" for it in types)])
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            query = f"select * from aqueduct_consumer.{function}({values})"
            return cursor.execute(query, [self.projection, GENERATION, *arguments]).fetchall()
