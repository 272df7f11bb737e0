"""Defect: it parks the followers of a parked event, and applies them all the same. Breaks the property poison."""

import sys

import template  # noqa: F401

import consumer
from contract import Contract
from psycopg.types.json import Jsonb


class ForgetsFollowers(Contract):
    def receive(self, epochs: dict, envelopes: list[dict], failed: list[dict]) -> list:
        rows = super().receive(epochs, envelopes, failed)
        unusable = {failure["ordinal"] for failure in failed}
        followers = {row.ordinal for row in rows if row.result == "blocked"} - unusable
        places = [{name: envelopes[ordinal - 1][name] for name in ("topic", "partition", "offset")} for ordinal in followers]
        self._call("park", Jsonb(places))
        return [row._replace(result="new") if row.ordinal in followers else row for row in rows]


consumer.Contract = ForgetsFollowers
sys.exit(consumer.main())
