//! How the relay's Kafka clients are set up. Guarantees depend on these settings; see the comments.

use std::time::Duration;

use aqueduct_kafka::Cluster;
use rdkafka::ClientConfig;

use crate::kafka::open_requests::BATCH_BYTES;
use crate::options::Options;
use crate::route::Route;

/// Longest wait for an answer about metadata, offsets or a partition's end.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A report of a lane's status that is not delivered within this time is given up.
const STATUS_DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a lane's session that is told to stop may take to finish its transaction. A thread that takes longer is
/// abandoned: it writes nothing more, as its batches have ended, and the next owner aborts what it left open.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

pub(crate) fn producer(cluster: &Cluster, options: &Options, transactional_id: &str) -> ClientConfig {
    let timeout = options.transaction_timeout_ms.to_string();
    let mut config = cluster.config(&[]);
    config
        .set("transactional.id", transactional_id)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // A topic that is missing was deleted: a broker would create it with its own number of partitions.
        .set("allow.auto.create.topics", "false")
        .set("transaction.timeout.ms", &timeout)
        .set("message.timeout.ms", &timeout)
        .set("message.max.bytes", options.largest_message().to_string())
        .set("batch.size", BATCH_BYTES.to_string())
        // `send_now` sends what was gathered, a request for each partition, see `OpenRequests`. No record waits this long unless
        // that call goes unnoticed.
        .set("linger.ms", "100")
        // librdkafka's default is not Java's. The relay chooses the partition of each record; this is for
        // whoever changes that.
        .set("partitioner", "murmur2_random");
    config
}

/// A consumer that is told what to read and from where. It never joins the group.
pub(crate) fn reader(cluster: &Cluster, route: &Route) -> ClientConfig {
    let mut config = cluster.consumer_config(&route.group(&cluster.prefix), &[]);
    // Transaction markers take offsets: only the end-of-partition event tells that no record follows.
    config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
    // Read ahead. What a lane's topics hold is read once, at its start.
    config.set("queued.max.messages.kbytes", "4096");
    config
}

/// The same reader for which a partition ends at its last record, also where that is in an open transaction.
pub(crate) fn uncommitted(reader: &ClientConfig) -> ClientConfig {
    let mut config = reader.clone();
    config.set("isolation.level", "read_uncommitted");
    config
}

/// A producer of requests to lanes.
pub(crate) fn requests(cluster: &Cluster) -> ClientConfig {
    let mut config = cluster.config(&[]);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", REQUEST_TIMEOUT.as_millis().to_string())
        .set("linger.ms", "0");
    config
}

/// The producer of the lanes' status records. It is not idempotent: a report that is written twice does no harm.
pub(crate) fn status(cluster: &Cluster) -> ClientConfig {
    let mut config = cluster.config(&[]);
    config
        .set("acks", "all")
        .set("message.timeout.ms", STATUS_DELIVERY_TIMEOUT.as_millis().to_string())
        .set("linger.ms", "0");
    config
}

/// The member of the group through which instances share a route's lanes.
pub(crate) fn member(cluster: &Cluster, options: &Options, route: &Route) -> ClientConfig {
    let group = route.group(&cluster.prefix);
    let mut config = cluster.member_config(&group, options.session_timeout(), &[]);
    // Lanes that stay here continue while others move.
    config.set("partition.assignment.strategy", "cooperative-sticky");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: nothing is lost (1). No figure is bought with a setting.
    #[test]
    fn all_replicas_acknowledge_what_is_written() {
        let cluster = Cluster::new("localhost:1");
        let lane = producer(&cluster, &Options::default(), "lane");
        for config in [&lane, &requests(&cluster), &status(&cluster)] {
            assert_eq!(config.get("acks"), Some("all"));
        }
        for config in [&lane, &requests(&cluster)] {
            assert_eq!(config.get("enable.idempotence"), Some("true"));
        }
        assert_eq!(lane.get("transactional.id"), Some("lane"));
        assert_eq!(cluster.consumer_config("group", &[]).get("isolation.level"), Some("read_committed"));
    }
}
