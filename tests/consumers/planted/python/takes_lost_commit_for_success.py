"""Defect: a COMMIT that was not answered is taken for one that succeeded. Breaks the property commit-unknown."""

import sys

import template  # noqa: F401

import consumer
from contract import Contract, Partition, Record


class TakesLostCommitForSuccess(consumer.Application):
    sent: dict[Partition, int] | None = None

    def transact(self, functions: Contract, records: list[Record], offsets: dict[Partition, int]) -> int:
        if self.attempt > 1 and self.sent is offsets:
            return 0
        held = super().transact(functions, records, offsets)
        self.sent = offsets
        return held


consumer.Application = TakesLostCommitForSuccess
sys.exit(consumer.main())
