"""Defect: it reads records of transactions that are aborted later. Breaks the property aborted-transactions."""

import sys

import template  # noqa: F401

import consumer


class ReadsUncommitted(consumer.Consumer):
    def __init__(self, properties: dict) -> None:
        super().__init__(properties | {"isolation.level": "read_uncommitted"})


consumer.Consumer = ReadsUncommitted
sys.exit(consumer.main())
