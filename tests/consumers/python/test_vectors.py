"""Plays the golden vectors: python -m unittest. AQUEDUCT_VECTORS and AQUEDUCT_SCHEMAS__DIRECTORY name their folders."""

import base64
import json
import os
import threading
import unittest
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import read_models
from contract import Partition, Record
from decode import Decoder, Undecodable, Unresolvable

TESTS = Path(__file__).parents[2]
VECTORS = Path(os.environ.get("AQUEDUCT_VECTORS", TESTS / "conformance/vectors"))
SCHEMAS = Path(os.environ.get("AQUEDUCT_SCHEMAS__DIRECTORY", TESTS.parent / "schemas"))


class Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        schema_id = self.path.rpartition("/")[2]
        for suffix, kind in [("avsc", {}), ("proto", {"schemaType": "PROTOBUF"})]:
            file = VECTORS / "registry" / f"{schema_id}.{suffix}"
            if file.exists():
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"schema": file.read_text()} | kind).encode())
                return
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


def plain(value: Any) -> Any:
    """A value in the plain JSON mapping."""
    match value:
        case dict():
            return {name: plain(it) for name, it in value.items()}
        case list():
            return [plain(it) for it in value]
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case date():
            return value.isoformat()
    return value


def bytes_of(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


class Vectors(unittest.TestCase):
    def setUp(self) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        self.decoder = Decoder(url, SCHEMAS, read_models.TYPES, read_models.IGNORED)

    def test_records(self) -> None:
        files = sorted(VECTORS.glob("*.json"))
        self.assertTrue(files, f"no vectors in {VECTORS}")
        for file in files:
            vector = json.loads(file.read_text())
            partition = Partition(vector["topic"], vector["partition"])
            for step in vector["steps"]:
                for expected in step.get("batch", []):
                    with self.subTest(file=file.name, offset=expected["offset"]):
                        self.play(partition, expected)

    def play(self, partition: Partition, expected: dict) -> None:
        headers = [(it["name"], bytes_of(it["value"])) for it in expected["headers"]]
        record = Record(*partition, expected["offset"], expected["timestamp"], bytes_of(expected["key"]),
                        bytes_of(expected["value"]), headers)
        name, data, failed = None, None, None
        try:
            name, data = self.decoder.decode(record)
        except Undecodable as error:
            failed = error.code
        except Unresolvable:
            self.assertTrue(expected.get("halts"))
            return
        self.assertEqual((name, plain(data)), (expected["type"], expected["data"]))
        envelope, problem = record.envelope()
        self.assertEqual("headers" if problem else failed, expected["failed"])
        place = {"topic": partition.topic, "partition": partition.number, "offset": record.offset,
                 "timestamp": record.timestamp}
        self.assertEqual({name: it for name, it in envelope.items() if it is not None}, expected["envelope"] | place)


if __name__ == "__main__":
    unittest.main()
