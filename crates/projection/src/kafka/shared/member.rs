//! A projection's side of the shared consumer: which partitions it reads through it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::Sender;

use crate::inbox::ownership::Ownership;
use crate::kafka::shared::SharedConsumer;
use crate::kafka::shared::follower::Follower;
use crate::kafka::shared::partitions::{Follow, kafka_offset};
use crate::metrics;
use crate::record::Record;
use crate::record::partition::Partition;

/// With at most this many records unread a partition is near its end, where the shared consumer reads.
const NEAR_END: i64 = 256;
/// Timeout for changing the offset at which the projection's own consumer reads.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// Decides for a session which partitions are read through the shared consumer. Used on the thread that polls the projection's
/// own consumer.
pub(crate) struct SharedMember {
    consumer: SharedConsumer,
    ownership: Arc<Ownership>,
    follower: Arc<Follower>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    followed: BTreeSet<Partition>,
    /// Partitions that its own consumer reads and that it might follow.
    near_end: BTreeSet<Partition>,
}

/// What the projection's own consumer must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handover {
    /// Stop reading: the shared consumer hands out everything from here on.
    ToShared(Partition),
    /// Read again from this offset on; 0: from the beginning.
    ToOwn(Partition, i64),
}

impl SharedMember {
    /// `queue` takes the records of the session.
    pub(crate) fn new(consumer: SharedConsumer, ownership: Arc<Ownership>, queue: Sender<Record>) -> Self {
        let follower = Arc::new(Follower::new(Arc::clone(&ownership), queue));
        Self { consumer, ownership, follower, state: Mutex::default() }
    }

    /// Whether the partition is read through the shared consumer, so that what the own one still delivers does not count.
    pub(crate) fn follows(&self, topic: &str, number: i32) -> bool {
        self.state.lock().followed.iter().any(|partition| partition.is(topic, number))
    }

    /// Takes in how many records of a partition the own consumer has still to deliver.
    pub(crate) fn observe(&self, topic: &str, number: i32, unread: i64) {
        let partition = Partition { topic: topic.into(), number };
        let mut state = self.state.lock();
        if unread <= NEAR_END {
            state.near_end.insert(partition);
        } else {
            state.near_end.remove(&partition);
        }
    }

    /// Moves partitions between the two consumers. All records that the own one has delivered must have been handed on.
    pub(crate) fn hand_over<C: ConsumerContext>(&self, own: &BaseConsumer<C>) -> Result<(), KafkaError> {
        for handover in self.handovers() {
            match handover {
                Handover::ToShared(partition) => own.pause(&partition.list())?,
                Handover::ToOwn(partition, next_offset) => {
                    let offset = kafka_offset(next_offset);
                    own.seek(&partition.topic, partition.number, offset, SEEK_TIMEOUT)?;
                    own.resume(&partition.list())?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn handovers(&self) -> Vec<Handover> {
        let mut handovers = Vec::new();
        let mut state = self.state.lock();
        let State { followed, near_end } = &mut *state;
        let next_read = |partition: &Partition| self.ownership.next_read(&partition.topic, partition.number);
        for partition in self.follower.take_let_go() {
            followed.remove(&partition);
            if let Some(next_offset) = next_read(&partition) {
                handovers.push(Handover::ToOwn(partition, next_offset));
            }
        }
        near_end.retain(|partition| {
            let Some(next_offset) = next_read(partition) else { return false };
            if followed.contains(partition) {
                return false;
            }
            let follow = self.consumer.follow(partition, next_offset, &self.follower);
            if follow == Follow::Follows {
                followed.insert(partition.clone());
                handovers.push(Handover::ToShared(partition.clone()));
            }
            follow == Follow::NotYet
        });
        if !handovers.is_empty() {
            metrics::shared_partitions(self.ownership.projection(), followed.len());
        }
        handovers
    }

    /// Gives up all partitions: the shared consumer delivers nothing after this call.
    pub(crate) fn leave(&self) {
        self.consumer.leave(&self.follower);
        *self.state.lock() = State::default();
        metrics::shared_partitions(self.ownership.projection(), 0);
    }
}

impl Drop for SharedMember {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Partition {
    fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.number);
        list
    }
}
