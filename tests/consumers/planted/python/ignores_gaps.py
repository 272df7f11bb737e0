"""Defect: it does not tell receive what precedes a record. Breaks the properties gap and late-arrival."""

import sys

import template  # noqa: F401

import consumer
from contract import Contract


class IgnoresGaps(Contract):
    def receive(self, epochs: dict, envelopes: list[dict], failed: list[dict]) -> list:
        return super().receive(epochs, [it | {"ce_previousrevision": None} for it in envelopes], failed)


consumer.Contract = IgnoresGaps
sys.exit(consumer.main())
