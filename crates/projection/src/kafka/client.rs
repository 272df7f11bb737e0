//! The Kafka client of a projection: its configuration and callbacks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::bindings::{rd_kafka_resp_err_t, rd_kafka_resp_err_t as RespErr};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::ProjectionError;
use crate::inbox::ownership::Ownership;
use crate::metrics;
use crate::options::Options;
use crate::status::{Component, JOINING, StatusReporter};

/// For how many session time-outs, and how long at least, no broker can be reached until the client is replaced.
/// A client that was told, while a broker started, that there are no brokers may never find one again
/// (librdkafka issue 5301); its group has removed it by then anyway.
const REPLACE_CLIENT_AFTER: (u32, Duration) = (3, Duration::from_secs(30));

/// What the thread and librdkafka's callbacks (which run on it) share.
pub(crate) struct Context {
    pub(crate) projection: &'static str,
    pub(crate) pool: PgPool,
    /// How long a claim may take before it is retried.
    pub(crate) timeout: Duration,
    pub(crate) ownership: Arc<Ownership>,
    /// Ends the thread.
    pub(crate) stop: CancellationToken,
    pub(crate) runtime: Handle,
    pub(crate) status: StatusReporter,
    /// For messages.
    pub(crate) brokers: String,
    /// The group's session time-out.
    pub(crate) session_timeout: Duration,
    /// Since when no broker can be reached.
    pub(crate) unreachable: Mutex<Option<Instant>>,
    /// Why the thread ended without being stopped.
    pub(crate) failure: Arc<Mutex<Option<ProjectionError>>>,
}

pub(crate) type Consumer = BaseConsumer<Context>;

/// Creates the client and joins the group.
pub(crate) fn join(options: &Options, topics: &[&str], context: Context) -> Result<Consumer, KafkaError> {
    let mut config = ClientConfig::new();
    // The default of 500 ms delays the records of quiet topics.
    config.set("fetch.wait.max.ms", "10");
    // New partitions, and topics created after the start, are noticed within this time.
    config.set("topic.metadata.refresh.interval.ms", "5000");
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", options.group(context.projection))
        .set("session.timeout.ms", options.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (options.session_timeout_ms / 3).to_string())
        // Delivery depends on these: aborted transactions are not read, Postgres decides where to resume, and an
        // offset that does not exist is an error.
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        // All partitions are revoked and claimed again at each change of the group. That is simple, and a claim
        // costs one statement.
        .set("partition.assignment.strategy", "range")
        .set("statistics.interval.ms", "1000");
    let consumer: Consumer = config.create_with_context(context)?;
    consumer.subscribe(topics)?;
    Ok(consumer)
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        // The client reports an error when brokers are gone, but nothing when one is back.
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            *self.unreachable.lock() = None;
            self.status.clear(Component::Brokers);
        } else {
            self.no_broker();
        }
        for (name, topic) in &statistics.topics {
            for (number, partition) in &topic.partitions {
                let Some(in_flight) = self.ownership.in_flight(name, *number) else { continue };
                // The next offset to fetch is behind transaction markers, so that this reaches zero.
                let unread = partition.ls_offset - partition.next_offset;
                if partition.ls_offset >= 0 && partition.next_offset >= 0 {
                    let lag = unread.max(0) + partition.fetchq_cnt + in_flight;
                    metrics::lag(self.projection, name, *number, lag);
                }
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        metrics::kafka_error(self.projection);
        tracing::warn!(projection = self.projection, %error, reason, "kafka client error");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &Consumer,
        event: rd_kafka_resp_err_t,
        partitions: &mut TopicPartitionList,
    ) {
        let done = if event == RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if self.claim(partitions) {
                self.status.clear(Component::Group);
                consumer.assign(partitions)
            } else {
                consumer.unassign()
            }
        } else {
            if consumer.assignment_lost() {
                self.status.report(Component::Group, JOINING);
            }
            commit_offsets(consumer, &self.ownership, CommitMode::Async);
            for (topic, partition) in self.ownership.clear() {
                metrics::lag(self.projection, &topic, partition, 0);
            }
            consumer.unassign()
        };
        if let Err(error) = done {
            metrics::kafka_error(self.projection);
            tracing::error!(projection = self.projection, %error, "assignment failed");
        }
    }
}

impl Context {
    fn no_broker(&self) {
        let problem = format!("none of the kafka brokers {} can be reached", self.brokers);
        self.status.report(Component::Brokers, problem);
        let since = *self.unreachable.lock().get_or_insert_with(Instant::now);
        let (session_timeouts, at_least) = REPLACE_CLIENT_AFTER;
        if since.elapsed() > (self.session_timeout * session_timeouts).max(at_least) {
            tracing::warn!(
                projection = self.projection,
                "no kafka broker can be reached, replacing the client"
            );
            self.stop.cancel();
        }
    }

    /// Ends the thread with an error.
    pub(super) fn fail(&self, error: ProjectionError) {
        self.failure.lock().get_or_insert(error);
        self.stop.cancel();
    }
}

/// Commits to Kafka how far Postgres is, for people and tools: nothing reads it back.
pub(super) fn commit_offsets(consumer: &Consumer, ownership: &Ownership, mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for (topic, partition, next_offset) in ownership.take_uncommitted() {
        // Fails only for offsets that Kafka can't have.
        let _ = offsets.add_partition_offset(&topic, partition, Offset::Offset(next_offset));
    }
    if offsets.count() > 0
        && let Err(error) = consumer.commit(&offsets, mode)
    {
        tracing::debug!(%error, "offsets were not committed to kafka");
    }
}
