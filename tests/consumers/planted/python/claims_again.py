"""Defect: when another instance owns its partitions it claims them again, and does not leave the group. Breaks freeze."""

import sys

import template  # noqa: F401

import consumer

LATEST = 2**62


class ClaimsAgain(consumer.Application):
    def retry(self, work):
        while True:
            try:
                return super().retry(work)
            except consumer.Rejoin:
                for partition in self.epochs:
                    claimed = super().retry(
                        lambda functions: functions.claim(partition, None, 0, LATEST, None, self.name))
                    self.epochs[partition] = claimed.epoch


consumer.Application = ClaimsAgain
sys.exit(consumer.main())
