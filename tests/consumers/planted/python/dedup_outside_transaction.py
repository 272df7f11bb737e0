"""Defect: the inbox is committed before the work. Breaks the property kill."""

import os
import sys

import psycopg

import template  # noqa: F401

import consumer
from contract import Contract


class DedupOutsideTransaction(Contract):
    def next_held(self, *_: object) -> list:
        # It would lock what the other connection needs.
        return []

    def receive(self, epochs: dict, envelopes: list[dict], failed: list[dict]) -> list:
        with psycopg.connect(os.environ["AQUEDUCT_POSTGRES__URL"], autocommit=True) as other:
            return Contract(other, self.projection).receive(epochs, envelopes, failed)


consumer.Contract = DedupOutsideTransaction
sys.exit(consumer.main())
