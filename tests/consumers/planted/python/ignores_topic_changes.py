"""Defect: claim is told neither the topic's id nor its end. Breaks the property topic-recreated."""

import sys

import template  # noqa: F401

import consumer
from contract import Contract

LARGEST = 2**62


class IgnoresTopicChanges(Contract):
    def claim(self, partition, topic_id, earliest, latest, committed, name):
        return super().claim(partition, None, earliest, LARGEST, committed, name)


consumer.Contract = IgnoresTopicChanges
sys.exit(consumer.main())
