//! One consumer for all projections of a process.

mod client;
mod follower;
#[cfg(test)]
mod histories;
pub(crate) mod member;
mod partitions;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aqueduct_core::with_causes;
use aqueduct_kafka::Cluster;
use parking_lot::Mutex;

use crate::kafka::shared::follower::Follower;
use crate::kafka::shared::partitions::{Follow, SharedPartitions};
use crate::record::partition::Partition;

/// Pause between two threads that read, where one ends early.
const RESTART_INTERVAL: Duration = Duration::from_secs(1);

/// A consumer that reads the ends of partitions for several projections, so that Kafka sends each new record to this process
/// once and not once for each projection.
///
/// It is not a member of any group: each projection stays one of its own, and claims its partitions in Postgres. While the
/// shared consumer reads a partition for it, its own consumer has that partition paused. A projection that is not as far as the
/// shared consumer reads through its own until it is, and so does one that takes its records too slowly: nobody waits for another.
#[derive(Debug, Clone)]
pub(crate) struct SharedConsumer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    /// Group of one of the projections, which this process may use. librdkafka wants one also where none is joined.
    group: String,
    partitions: Arc<SharedPartitions>,
    thread: Mutex<Thread>,
}

/// The thread that reads, if one was started.
#[derive(Debug, Default)]
struct Thread {
    handle: Option<JoinHandle<()>>,
    started: Option<Instant>,
}

impl SharedConsumer {
    /// A consumer that connects once a partition is wanted.
    pub(crate) fn new(cluster: Cluster, group: String) -> Self {
        Self(Arc::new(Inner { cluster, group, partitions: Arc::default(), thread: Mutex::default() }))
    }

    /// Lets a projection follow a partition, if it has read as far as this consumer. `next_offset` is the one after the last
    /// record that it has read. If nobody reads the partition yet, reading begins there, and a call once it does lets it follow.
    fn follow(&self, partition: &Partition, next_offset: i64, follower: &Arc<Follower>) -> Follow {
        let follow = self.0.partitions.follow(partition, next_offset, follower);
        self.start_reading();
        follow
    }

    /// Starts a thread, unless one reads or was started a moment ago.
    fn start_reading(&self) {
        let Inner { cluster, group, partitions, thread } = &*self.0;
        let mut thread = thread.lock();
        if thread.started.is_some_and(|started| started.elapsed() < RESTART_INTERVAL) {
            return;
        }
        let Some(reading) = partitions.begin_reading() else { return };
        thread.started = Some(Instant::now());
        match client::create(cluster, group, Arc::clone(partitions)) {
            Ok(client) => thread.handle = reading.run(move |partitions| client::read(client, partitions)),
            Err(error) => tracing::warn!(error = with_causes(&error), "no shared consumer, trying again"),
        }
    }

    fn leave(&self, follower: &Arc<Follower>) {
        self.0.partitions.leave(follower);
    }
}

/// Its client must not outlive the projections: the process may end right after them.
impl Drop for Inner {
    fn drop(&mut self) {
        self.partitions.close();
        if let Some(thread) = self.thread.get_mut().handle.take() {
            // A panic was reported by the thread.
            let _ended = thread.join();
        }
    }
}
