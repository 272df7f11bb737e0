//! The partitions that the shared consumer reads, and who follows them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::Offset;

use crate::kafka::shared::follower::Follower;
use crate::record::Record;
use crate::record::partition::Partition;

/// How long a partition that nobody follows is read. A projection that wants it tries again at each of its polls.
const UNFOLLOWED: Duration = Duration::from_secs(5);
/// Reports after which a partition is fetched without a delay. The first one may be that of an earlier reading; and a partition
/// that librdkafka has just begun is not part of the request that waits at the broker, for up to half a second.
const REPORTS: u64 = 2;

/// The partitions that the shared consumer reads, and who follows them.
#[derive(Debug, Default)]
pub(crate) struct SharedPartitions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Shared>,
    /// Whether a thread reads them.
    is_reading: bool,
    /// Nobody will want a partition any more.
    is_closed: bool,
}

#[derive(Debug)]
struct Shared {
    partition: Partition,
    /// Offset after the last record that was handed out, at first where reading begins; 0: at the beginning.
    next_offset: i64,
    /// Whether the consumer was told to read it.
    is_read: bool,
    /// How often the consumer has reported since that it fetches from it.
    reports: u64,
    followers: Vec<Arc<Follower>>,
    /// Since when nobody follows it.
    unfollowed: Instant,
}

/// Whether a projection follows a partition from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// It receives all records from its next offset on.
    Follows,
    /// Its own consumer must continue: the shared one is ahead, or does not fetch from the partition yet.
    NotYet,
}

/// How the consumer's assignment must change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AssignmentChange {
    /// With the offset at which reading begins; 0: at the beginning.
    pub(super) start: Vec<(Partition, i64)>,
    pub(super) stop: Vec<Partition>,
}

/// Where a client must begin to read; 0: at the beginning, wherever retention has left it.
pub(super) fn kafka_offset(next_offset: i64) -> Offset {
    if next_offset == 0 { Offset::Beginning } else { Offset::Offset(next_offset) }
}

impl SharedPartitions {
    /// See [`SharedConsumer::follow`](super::SharedConsumer::follow).
    pub(super) fn follow(&self, partition: &Partition, next_offset: i64, follower: &Arc<Follower>) -> Follow {
        let mut state = self.0.lock();
        let Some(shared) = state.partitions.iter_mut().find(|shared| shared.partition == *partition) else {
            state.partitions.push(Shared {
                partition: partition.clone(),
                next_offset,
                is_read: false,
                reports: 0,
                followers: Vec::new(),
                unfollowed: Instant::now(),
            });
            return Follow::NotYet;
        };
        if shared.reports < REPORTS {
            // It is wanted: that the consumer takes long to begin is no reason to end it.
            shared.unfollowed = Instant::now();
            return Follow::NotYet;
        }
        if next_offset < shared.next_offset {
            return Follow::NotYet;
        }
        shared.followers.push(Arc::clone(follower));
        Follow::Follows
    }

    /// A projection gives up all partitions: it receives nothing after this call.
    pub(super) fn leave(&self, follower: &Arc<Follower>) {
        for shared in &mut self.0.lock().partitions {
            let before = shared.followers.len();
            shared.followers.retain(|other| !Arc::ptr_eq(other, follower));
            shared.note_departure(before);
        }
        follower.take_let_go();
    }

    /// Hands a record to those that follow its partition. Waits for none: one whose queue is full is let go.
    pub(super) fn hand_out(&self, record: &Record) {
        let mut state = self.0.lock();
        let Some(shared) = state.partitions.iter_mut().find(|shared| shared.partition.has(record)) else {
            return;
        };
        shared.next_offset = record.offset + 1;
        let partition = &shared.partition;
        let before = shared.followers.len();
        shared.followers.retain(|follower| {
            let given = follower.give(record);
            if given.is_err() {
                follower.let_go(partition);
            }
            given.is_ok()
        });
        shared.note_departure(before);
    }

    /// The consumer has reported that it fetches from a partition. Returns those that follow it, to whom its statistics apply.
    pub(super) fn observe(&self, topic: &str, number: i32) -> Vec<Arc<Follower>> {
        let mut state = self.0.lock();
        let Some(shared) = state.partitions.iter_mut().find(|shared| shared.partition.is(topic, number))
        else {
            return Vec::new();
        };
        shared.reports += u64::from(shared.is_read);
        shared.followers.clone()
    }

    /// The projections that follow any partition.
    pub(super) fn projections(&self) -> BTreeSet<&'static str> {
        let state = self.0.lock();
        let followers = state.partitions.iter().flat_map(|shared| &shared.followers);
        followers.map(|follower| follower.ownership().projection()).collect()
    }

    /// What the consumer must do now. The partitions to start count as read from now on.
    pub(super) fn assignment_change(&self) -> AssignmentChange {
        let mut change = AssignmentChange::default();
        self.0.lock().partitions.retain_mut(|shared| {
            if !std::mem::replace(&mut shared.is_read, true) {
                change.start.push((shared.partition.clone(), shared.next_offset));
            }
            let is_kept = !shared.followers.is_empty() || shared.unfollowed.elapsed() < UNFOLLOWED;
            if !is_kept {
                change.stop.push(shared.partition.clone());
            }
            is_kept
        });
        change
    }

    /// The right to read them, if no thread has it.
    pub(super) fn begin_reading(self: &Arc<Self>) -> Option<Reading> {
        let was_reading = std::mem::replace(&mut self.0.lock().is_reading, true);
        (!was_reading).then(|| Reading(Arc::clone(self)))
    }

    /// Whether nothing is left to read. If so the thread must end: the next partition is for another one.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.0.lock();
        state.is_closed || state.partitions.is_empty()
    }

    /// Ends the thread that reads.
    pub(super) fn close(&self) {
        self.0.lock().is_closed = true;
    }
}

impl Shared {
    /// After followers may have left, of which there were so many.
    fn note_departure(&mut self, before: usize) {
        if self.followers.len() < before {
            self.unfollowed = Instant::now();
        }
    }
}

/// Held by the thread that reads. When it ends, also by a panic, all are let go.
pub(super) struct Reading(Arc<SharedPartitions>);

impl Reading {
    /// Reads in a thread of its own. All are let go before the client, which `read` returns, is closed: that may take long.
    pub(super) fn run<C>(
        self,
        read: impl FnOnce(&SharedPartitions) -> C + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("shared-consumer".to_owned());
        let started = thread.spawn(move || {
            let client = read(&self.0);
            drop(self);
            drop(client);
        });
        started
            .inspect_err(|error| tracing::warn!(%error, "no thread for the shared consumer, trying again"))
            .ok()
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        for Shared { partition, followers, .. } in state.partitions.drain(..) {
            followers.iter().for_each(|follower| follower.let_go(&partition));
        }
        state.is_reading = false;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::inbox::ownership::Ownership;

    fn bank() -> Partition {
        Partition { topic: "bank".into(), number: 0 }
    }

    /// Nothing is late: a projection's own consumer reads until the shared one fetches what it would hand out.
    #[test]
    fn a_partition_is_followed_once_the_consumer_has_shown_that_it_fetches_from_it() {
        let partitions = SharedPartitions::default();
        let (queue, _records) = mpsc::channel(1);
        let follower = Arc::new(Follower::new(Arc::new(Ownership::new("accounts")), queue));
        let follow = || partitions.follow(&bank(), 7, &follower);

        assert_eq!(follow(), Follow::NotYet);
        partitions.observe("bank", 0);
        partitions.observe("bank", 0);
        assert_eq!(follow(), Follow::NotYet, "these were of an earlier reading");

        assert_eq!(partitions.assignment_change().start, [(bank(), 7)]);
        for _ in 0..REPORTS {
            assert_eq!(follow(), Follow::NotYet);
            partitions.observe("bank", 0);
        }
        assert_eq!(follow(), Follow::Follows);
    }
}
