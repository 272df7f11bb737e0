"""Defect: it commits Kafka's offsets before the work, and resumes there. Breaks the property kill."""

import sys

from confluent_kafka import Consumer, TopicPartition

import template  # noqa: F401

import consumer
from contract import Contract


class ResumesFromKafka(Contract):
    def claim(self, partition, topic_id, earliest, latest, committed, name):
        claimed = super().claim(partition, topic_id, earliest, latest, None, name)
        return claimed._replace(next_offset=earliest if committed is None else committed)


class CommitsFirst(consumer.Application):
    def on_assign(self, member: Consumer, assigned: list[TopicPartition]) -> None:
        self.member = member
        super().on_assign(member, assigned)

    def transact(self, functions: Contract, records: list, offsets: dict) -> int:
        if offsets:
            moved = [TopicPartition(it.topic, it.number, offset) for it, offset in offsets.items()]
            self.member.commit(offsets=moved, asynchronous=False)
        return super().transact(functions, records, offsets)


consumer.Application = CommitsFirst
consumer.Contract = ResumesFromKafka
sys.exit(consumer.main())
