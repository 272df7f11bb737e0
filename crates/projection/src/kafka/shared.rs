//! One consumer for all projections of a process.

mod client;
mod follower;
#[cfg(test)]
mod histories;
pub(crate) mod member;
mod partitions;

use std::sync::Arc;

use aqueduct_core::with_causes;
use aqueduct_kafka::Cluster;

use crate::kafka::shared::follower::Follower;
use crate::kafka::shared::partitions::{Follow, SharedPartitions};
use crate::record::partition::Partition;

/// A consumer that reads the ends of partitions for several projections, so that Kafka sends each new record to this process
/// once and not once for each projection.
///
/// It is not a member of any group: each projection stays one of its own, and claims its partitions in Postgres. While the
/// shared consumer reads a partition for it, its own consumer has that partition paused. A projection that is not as far as the
/// shared consumer reads by itself until it is, and so does one that takes its records too slowly: nobody waits for another.
#[derive(Debug, Clone)]
pub(crate) struct SharedConsumer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    /// Group of one of the projections, which this process may use. librdkafka wants one also where none is joined.
    group: String,
    partitions: Arc<SharedPartitions>,
}

impl SharedConsumer {
    /// A consumer that connects once a partition is wanted.
    pub(crate) fn new(cluster: Cluster, group: String) -> Self {
        Self(Arc::new(Inner { cluster, group, partitions: Arc::default() }))
    }

    /// Lets a projection follow a partition, if it has read as far as this consumer. `place` is the offset behind the last
    /// record that it has read. If nobody reads the partition yet, reading begins there, and a later call lets it follow.
    fn follow(&self, partition: &Partition, place: i64, follower: &Arc<Follower>) -> Follow {
        let follow = self.0.partitions.follow(partition, place, follower);
        if let Some(reading) = self.0.partitions.begin_reading() {
            let Inner { cluster, group, .. } = &*self.0;
            match client::create(cluster, group, Arc::clone(&self.0.partitions)) {
                Ok(consumer) => reading.run(move |partitions| client::read(&consumer, partitions)),
                Err(error) => tracing::warn!(error = with_causes(&error), "no shared consumer, trying again"),
            }
        }
        follow
    }

    fn leave(&self, follower: &Arc<Follower>) {
        self.0.partitions.leave(follower);
    }
}
