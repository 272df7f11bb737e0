//! How far a projection is behind, from the statistics of the client that reads for it.

use rdkafka::Statistics;
use rdkafka::statistics::Partition;

use crate::inbox::ownership::Ownership;
use crate::metrics;

/// The partitions of all topics, with the topics' names.
pub(super) fn partitions(statistics: &Statistics) -> impl Iterator<Item = (&str, &Partition)> {
    statistics
        .topics
        .iter()
        .flat_map(|(name, topic)| topic.partitions.values().map(move |partition| (name.as_str(), partition)))
}

/// Whether these are the statistics of a partition that the client reads. Of any other they are as old as its last fetch.
pub(super) fn is_current(partition: &Partition) -> bool {
    partition.fetch_state == "active"
}

/// Records how far a projection is behind. Returns how many records the client has still to hand on, if that is known and the
/// projection owns the partition.
pub(super) fn report(ownership: &Ownership, topic: &str, partition: &Partition) -> Option<i64> {
    let number = partition.partition;
    let in_flight = ownership.in_flight(topic, number)?;
    if partition.ls_offset < 0 || partition.next_offset < 0 {
        return None;
    }
    // The next offset to fetch is behind transaction markers, so that this reaches zero.
    let unread = (partition.ls_offset - partition.next_offset).max(0) + partition.fetchq_cnt;
    let lag = unread + in_flight;
    metrics::lag(ownership.projection(), topic, number, lag);
    ownership.set_read_to(topic, number, (lag == 0).then_some(partition.next_offset));
    Some(unread)
}
