"""Keeps the projection of read_models.py. Environment variables and exit codes: README.md."""

import contextvars
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Callable, TypeVar

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import Counter, Gauge, start_http_server

import contract
import read_models
from contract import Contract, Halted, Partition, Record, failure
from decode import Decoder, RegistryUnavailable, Undecodable, Unresolvable, optional
from read_models import Event

LINGER = 0.05  # seconds that a batch waits for more records
HELD_EVERY = 1.0  # seconds between checks for parked events while no records come
LONGEST_PAUSE = 10.0
KAFKA_TIMEOUT = 10.0
TRIES_OF_A_SLOW_EVENT = 3
EXIT_HALTED = 2

RECORDS = Counter("consumer_records", "Records by the result of receive", ["result"])
HELD = Counter("consumer_held", "Parked events that were applied later")
BATCHES = Counter("consumer_batches", "Committed transactions")
RETRIES = Counter("consumer_retries", "Attempts that failed and were repeated")
REJOINS = Counter("consumer_rejoins", "Times that the group was left and joined again")
ASSIGNED = Gauge("consumer_partitions", "Partitions that this instance owns")

T = TypeVar("T")
log = logging.getLogger("consumer")
traceparent: contextvars.ContextVar[str | None] = contextvars.ContextVar("traceparent", default=None)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if (trace := traceparent.get()) is not None:
            line["traceparent"] = trace
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Stopped(Exception):
    """Asked to stop while it waited."""


class Rejoin(Exception):
    """Leave the group and join it again: what this instance has been assigned is no longer valid."""


class Application:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.stopping = threading.Event()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.batch = int(environment.get("AQUEDUCT_BATCH", "500"))
        self.topics = environment.get("AQUEDUCT_TOPICS", ",".join(read_models.TOPICS)).split(",")
        schemas = Path(environment.get("AQUEDUCT_SCHEMAS__DIRECTORY", "schemas"))
        self.decoder = Decoder(environment["AQUEDUCT_REGISTRY__URL"], schemas, read_models.TYPES, read_models.IGNORED)
        properties = "AQUEDUCT_KAFKA__PROPERTIES__"
        self.kafka = {key.removeprefix(properties).lower().replace("_", "."): value
                      for key, value in environment.items() if key.startswith(properties)}
        self.kafka["bootstrap.servers"] = environment["AQUEDUCT_KAFKA__BROKERS"]
        self.admin = AdminClient(self.kafka)
        self.connection: psycopg.Connection | None = None
        self.epochs: dict[Partition, int] = {}
        self.attempt = 0

    # Kafka: Postgres decides where to resume.

    def run(self) -> None:
        while not self.stopping.is_set():
            # Closing leaves the group: on_revoke drops the partitions.
            consumer = Consumer(self.kafka | {
                "group.id": self.environment.get("AQUEDUCT_KAFKA__GROUP", f"aqueduct.{read_models.PROJECTION}"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "partition.assignment.strategy": "cooperative-sticky",
            })
            try:
                consumer.subscribe(self.topics, on_assign=self.on_assign, on_revoke=self.on_revoke,
                                   on_lost=self.on_revoke)
                self.consume(consumer)
            except Rejoin as error:
                REJOINS.inc()
                log.warning("leaving the group to join it again: %s", error)
                self.stopping.wait(random.uniform(0.1, 1.0))
            finally:
                consumer.close()
                self.epochs.clear()

    def on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        topics = TopicCollection(sorted({it.topic for it in assigned}))
        described = self.admin.describe_topics(topics, request_timeout=KAFKA_TIMEOUT) if assigned else {}
        committed = {(it.topic, it.partition): it.offset for it in consumer.committed(assigned, KAFKA_TIMEOUT)}
        for it in assigned:
            offset = committed[it.topic, it.partition]
            # As Kafka prints it: the client's text has other letters.
            topic_id = str(described[it.topic].result().topic_id).replace("+", "-").replace("/", "_")
            partition = Partition(it.topic, it.partition)
            # Each attempt lists the ends again: they must not be old.
            claimed = self.retry(lambda functions: functions.claim(
                partition, topic_id, *consumer.get_watermark_offsets(it, KAFKA_TIMEOUT), offset if offset >= 0 else None,
                self.name))
            # Committed by then: others must see it, and a person accepts it.
            if claimed.result == "halted":
                raise Halted(claimed.problem)
            self.epochs[partition], it.offset = claimed.epoch, claimed.next_offset
            log.info("claimed %s/%s from offset %s", it.topic, it.partition, it.offset)
        consumer.incremental_assign(assigned)
        ASSIGNED.set(len(self.epochs))

    def on_revoke(self, _: Consumer, revoked: list[TopicPartition]) -> None:
        for it in revoked:
            self.epochs.pop(Partition(it.topic, it.partition), None)
        ASSIGNED.set(len(self.epochs))

    def consume(self, consumer: Consumer) -> None:
        held_at = 0.0
        while not self.stopping.is_set():
            try:
                records, offsets = self.owned(consumer.consume(self.batch, LINGER))
            except KafkaException as error:
                raise Rejoin(error) from error
            if not self.epochs or not (offsets or time.monotonic() >= held_at):
                continue
            held = self.retry(lambda functions: self.transact(functions, records, offsets))
            held_at = 0.0 if held else time.monotonic() + HELD_EVERY
            if offsets:
                # For displays of lag: nothing resumes there.
                moved = [TopicPartition(it.topic, it.number, offset) for it, offset in offsets.items()]
                consumer.commit(offsets=moved, asynchronous=True)

    def owned(self, messages: list[Message]) -> tuple[list[Record], dict[Partition, int]]:
        """Records of the partitions that are assigned, and the offsets after them."""
        records, offsets = [], {}
        for message in messages:
            error = message.error()
            partition = Partition(message.topic(), message.partition())
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                if partition in self.epochs:
                    # The end is after the last transaction's marker, which has an offset too.
                    offsets[partition] = message.offset() + (error is None)
                    if error is None:
                        records.append(Record(*partition, message.offset(), message.timestamp()[1], message.key(),
                                              message.value(), message.headers() or []))
            elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise Rejoin(error)
            else:
                log.warning("kafka: %s", error)
        return records, offsets

    # Postgres: a batch is a transaction.

    def retry(self, work: Callable[[Contract], T]) -> T:
        """Repeats what fails for a reason that passes, a commit of unknown outcome too: the inbox drops the second."""
        self.attempt = 0
        while True:
            self.attempt += 1
            try:
                if self.connection is None or self.connection.closed:
                    # Not prepared by name: a pooler in transaction mode may stand between.
                    self.connection = psycopg.connect(self.environment["AQUEDUCT_POSTGRES__URL"], autocommit=True,
                                                      prepare_threshold=None, application_name=self.name)
                with self.connection.transaction():
                    return work(Contract(self.connection, read_models.PROJECTION))
            except Exception as error:
                state = getattr(error, "sqlstate", None) or ""
                if state == contract.STALE:
                    raise Rejoin(f"{error.diag.message_primary}: {error.diag.message_detail}") from error
                if state in (contract.UNKNOWN, contract.FORBIDDEN, contract.HALTED):
                    raise Halted(str(error)) from error
                is_lost = isinstance(error, psycopg.OperationalError) and not state
                is_lost = is_lost or self.connection is not None and self.connection.closed
                if not (is_lost or state.startswith(contract.PASSING) or isinstance(error, RegistryUnavailable)):
                    raise
                RETRIES.inc()
                pause = min(LONGEST_PAUSE, 0.1 * 2 ** min(self.attempt, 10)) * random.uniform(0.5, 1.0)
                log.warning("waiting %.1f s: %s", pause, error)
                if self.stopping.wait(pause):
                    raise Stopped from error

    def transact(self, functions: Contract, records: list[Record], offsets: dict[Partition, int]) -> int:
        """Applies a batch and moves its offsets. Returns how many parked events were applied."""
        held = self.apply_held(functions)
        if records:
            self.apply_records(functions, records)
        if offsets:
            functions.advance(self.epochs, offsets)
        BATCHES.inc()
        return held

    def apply_held(self, functions: Contract) -> int:
        failed: list[dict] = []
        while True:
            with functions.connection.transaction():
                held = functions.next_held(self.epochs, self.batch, failed)
                events, problems = self.decode([record for _, record in held])
                # Followers of an event that cannot be decoded are not applied: it is asked for again without them.
                problems = problems or self.apply(events, list(events))
                if not problems:
                    HELD.inc(len(held))
                    return len(held)
                failed += [{"id": held[index][0], **problem} for index, problem in problems.items()]
                raise psycopg.Rollback

    def apply_records(self, functions: Contract, records: list[Record]) -> None:
        events, problems = self.decode(records)
        envelopes = []
        for index, record in enumerate(records):
            envelope, problem = record.envelope()
            envelopes.append(envelope)
            if problem:
                problems[index] = failure("headers", problem)
        while True:
            failed = [{"ordinal": index + 1, **problem} for index, problem in problems.items()]
            with functions.connection.transaction():
                results = functions.receive(self.epochs, envelopes, failed)
                found = self.apply(events, [row.ordinal - 1 for row in results if row.result in contract.APPLIED])
                if found:
                    problems |= found
                    raise psycopg.Rollback
                unparked = [row for row in results if row.result not in contract.APPLIED + contract.DROPPED]
                functions.park([records[row.ordinal - 1] for row in unparked])
                break
        for row in results:
            RECORDS.labels(row.result).inc()
        for row in unparked:
            record = records[row.ordinal - 1]
            traceparent.set(optional(lambda: record.text("traceparent")))
            log.warning("parking %s/%s@%s as %s: %s", record.topic, record.partition, record.offset, row.result, row.reason)
        traceparent.set(None)

    def decode(self, records: list[Record]) -> tuple[dict[int, Event], dict[int, dict]]:
        """Events by their index, and why others have none. Those of ignored types are in neither."""
        events, problems = {}, {}
        for index, record in enumerate(records):
            header = {name: optional(lambda: record.text(name))
                      for name in ("ce_subject", "ce_revision", "ce_position", "traceparent")}
            try:
                name, data = self.decoder.decode(record)
                if data is not None:
                    stream = header["ce_subject"] or str(record.key)
                    numbers = [None if header[it] is None else int(header[it]) for it in ("ce_revision", "ce_position")]
                    events[index] = Event(name, data, stream, *numbers, header["traceparent"])
            except Undecodable as error:
                problems[index] = failure(error.code, error)
            except Unresolvable as error:
                raise Halted(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error
            except ValueError as error:
                problems[index] = failure("headers", error)
        return events, problems

    def apply(self, events: dict[int, Event], indexes: list[int]) -> dict[int, dict]:
        """Applies events at once; if that fails, one by one. Returns the first failure of each stream, if any."""
        chosen = {index: events[index] for index in indexes if index in events}
        if not chosen or self.succeeds(list(chosen.values())) is None:
            return {}
        failures: dict[int, dict] = {}
        failed_streams = set()
        for index, event in chosen.items():
            if event.stream in failed_streams:
                continue
            traceparent.set(event.traceparent)
            if (error := self.succeeds([event])) is not None:
                log.warning("revision %s of %s cannot be applied: %s", event.revision, event.stream, error)
                failures[index] = failure("row", error)
                failed_streams.add(event.stream)
        traceparent.set(None)
        return failures

    def succeeds(self, events: list[Event]) -> Exception | None:
        """Applies events within a savepoint. Returns the error that comes from their data, and raises any other."""
        try:
            with self.connection.transaction():
                read_models.apply(self.connection, events)
        except psycopg.Error as error:
            is_slow = error.sqlstate == contract.STATEMENT_TIMEOUT and self.attempt >= TRIES_OF_A_SLOW_EVENT
            # Without a state: the driver could not send a value, such as a text with U+0000.
            is_unsendable = error.sqlstate is None and isinstance(error, psycopg.DataError)
            if is_slow or is_unsendable or (error.sqlstate or "").startswith(contract.OF_DATA):
                return error
            raise
        except Exception as error:  # A defect of the read model, or an event that it does not expect.
            return error
        return None


def main() -> int:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), handlers=[handler])
    application = Application(dict(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: application.stopping.set())
    host, _, port = os.environ.get("AQUEDUCT_HTTP__CONSUMER", "127.0.0.1:9110").rpartition(":")
    server, _ = start_http_server(int(port), host)
    log.info("serving metrics on http://%s:%s/metrics", host, server.server_port)
    try:
        application.run()
    except Stopped:
        pass
    except Halted as error:
        log.error("halted: %s", error)
        return EXIT_HALTED
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
