"""Values of records: Confluent's wire format, the schema registry and Avro. This module needs no change when copied."""

import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import fullname
from fastavro.types import Schema

from contract import Record, as_text

REQUEST_TIMEOUT = 10


class RegistryUnavailable(Exception):
    """Passes without help."""


class Undecodable(Exception):
    """The record's value cannot be read."""

    def __init__(self, reason: str, code: str = "payload") -> None:
        super().__init__(reason)
        self.code = code


class Unresolvable(Exception):
    """The writer's schema cannot be read as the one that the program is written for: the program must be changed."""


class Decoder:
    """Reads values as the versions of the event types that the program is written for."""

    def __init__(self, registry_url: str, schemas: Path, types: dict[str, str], ignored: set[str]) -> None:
        self.registry_url = registry_url.rstrip("/")
        self.readers = {name: fastavro.parse_schema(json.loads((schemas / file).read_text()))
                        for name, file in types.items()}
        self.types = types
        self.ignored = ignored
        self.writers: dict[int, Schema] = {}

    def decode(self, record: Record) -> tuple[str, dict[str, Any] | None]:
        """The event's type and data; no data: the type is ignored. Raises Undecodable, Unresolvable or RegistryUnavailable."""
        value = record.value
        if value is None:
            raise Undecodable("the value is null")
        if len(value) < 5 or value[0] != 0:
            raise Undecodable(f"the value does not begin with a zero byte and a schema id: {value[:5].hex() or 'empty'}")
        schema_id = int.from_bytes(value[1:5])
        writer = self.writer(schema_id, record)
        name = fullname(writer) if isinstance(writer, dict) and "name" in writer else str(writer)
        if name in self.ignored:
            return name, None
        reader = self.readers.get(name)
        if reader is None:
            raise Undecodable(f'type "{name}" is neither handled nor ignored', "unknown_type")
        datum = io.BytesIO(value[5:])
        try:
            data = fastavro.schemaless_reader(datum, writer, reader)
        except SchemaResolutionError as error:  # The library compares the schemas while it reads a value.
            raise Unresolvable(f"schema {schema_id} of the registry does not resolve to {self.types[name]}: {error}; "
                               "write the program for a version to which it resolves") from error
        except Exception as error:  # Broken bytes raise whatever they happen to break.
            reason = f"{type(error).__name__} {error}".strip()
            raise Undecodable(f'the value cannot be read as "{name}", written with schema {schema_id}: {reason}') from error
        if left := len(datum.read()):
            raise Undecodable(f'{left} bytes are left after "{name}", written with schema {schema_id}')
        return name, data

    def writer(self, schema_id: int, record: Record) -> Schema:
        if schema_id not in self.writers:
            url = f"{self.registry_url}/schemas/ids/{schema_id}"
            try:
                with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT) as response:
                    found = json.load(response)
                schema, kind = found["schema"], found.get("schemaType") or "AVRO"
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise Undecodable(f"the registry has no schema {schema_id}") from error
                raise RegistryUnavailable(f"{url}: {error}") from error
            except (OSError, ValueError, KeyError) as error:
                raise RegistryUnavailable(f"{url}: {error}") from error
            if kind != "AVRO":
                raise Undecodable(f"schema {schema_id} of the registry is not of Avro but of type {kind}")
            try:
                self.writers[schema_id] = fastavro.parse_schema(json.loads(schema))
            except Exception as error:  # The library raises errors of several kinds.
                pinned = self.types.get(optional(lambda: record.text("ce_type")) or "", "any schema")
                raise Unresolvable(f"schema {schema_id} of the registry cannot be parsed to read it as {pinned}: {error}; "
                                   "update the Avro library") from error
        return self.writers[schema_id]


def optional(read: Callable[[], str | None]) -> str | None:
    """A header that is missing or unreadable is None."""
    try:
        return read()
    except ValueError:
        return None
