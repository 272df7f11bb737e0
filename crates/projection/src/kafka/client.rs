//! The Kafka client of a projection: its configuration and callbacks.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_kafka::{BrokerWatch, create_client, log, log_error};
use parking_lot::Mutex;
use rdkafka::bindings::{rd_kafka_resp_err_t, rd_kafka_resp_err_t as RespErr};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::ProjectionError;
use crate::inbox::ownership::Ownership;
use crate::kafka::lag;
use crate::kafka::shared::member::SharedMember;
use crate::kafka::topic_ids::TopicIds;
use crate::metrics;
use crate::options::Options;
use crate::status::{Component, JOINING, StatusReporter};

/// Defaults that the configured properties may override.
const DEFAULTS: [(&str, &str); 1] = [
    // New partitions, and topics created after the start, are noticed within this time.
    ("topic.metadata.refresh.interval.ms", "5000"),
];

/// State shared by the poll thread and librdkafka's callbacks, which run on it.
pub(crate) struct ConsumerState {
    pub(crate) projection: &'static str,
    pub(crate) pool: PgPool,
    /// How long a claim may take before it is retried.
    pub(crate) timeout: Duration,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) topic_ids: TopicIds,
    /// Ends the thread.
    pub(crate) stop: CancellationToken,
    pub(crate) runtime: Handle,
    pub(crate) status: StatusReporter,
    /// For messages.
    pub(crate) brokers: String,
    /// Tells when the client must be replaced.
    pub(crate) watch: BrokerWatch,
    /// If other projections of this process may read the same partitions.
    pub(crate) shared: Option<SharedMember>,
    /// Why the thread ended without being stopped.
    pub(crate) failure: Arc<Mutex<Option<ProjectionError>>>,
}

/// Result of claiming the partitions that Kafka assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimOutcome {
    /// All are claimed and their offsets are set.
    Done,
    /// The thread was stopped or must end: not all are claimed.
    Abandoned,
}

pub(crate) type Consumer = BaseConsumer<ConsumerState>;

/// Creates the client and joins the group.
pub(crate) fn join(
    options: &Options,
    topics: &[String],
    context: ConsumerState,
) -> Result<Consumer, KafkaError> {
    let group = options.group(context.projection);
    let mut config = options.cluster.member_config(&group, options.session_timeout(), &DEFAULTS);
    // All partitions are revoked and claimed again at each change of the group. That is simple, and a claim costs
    // one statement.
    config.set("partition.assignment.strategy", "range");
    let consumer: Consumer = create_client(&config, context)?;
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(consumer)
}

impl ClientContext for ConsumerState {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        match self.watch.observe(&statistics) {
            Some(true) => self.status.clear(Component::Brokers),
            Some(false) => {
                let problem = format!("none of the kafka brokers {} can be reached", self.brokers);
                self.status.report(Component::Brokers, problem);
            }
            None => {}
        }
        if let Some(unseen) = self.watch.lost_for() {
            tracing::warn!(
                projection = self.projection,
                ?unseen,
                "no kafka broker can be reached, replacing the client"
            );
            self.stop.cancel();
        }
        for (topic, partition) in lag::partitions(&statistics) {
            let number = partition.partition;
            // What the shared consumer reads is paused here: these statistics are old. The first ones after a claim may be too.
            if self.is_shared(topic, number)
                || !lag::is_current(partition)
                || !self.ownership.observe(topic, number)
            {
                continue;
            }
            let unread = lag::report(&self.ownership, topic, partition);
            if let (Some(unread), Some(shared)) = (unread, &self.shared) {
                shared.observe(topic, number, unread);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        metrics::kafka_error(self.projection);
        log_error(&error, reason);
    }
}

impl ConsumerContext for ConsumerState {
    fn rebalance(
        &self,
        consumer: &Consumer,
        event: rd_kafka_resp_err_t,
        partitions: &mut TopicPartitionList,
    ) {
        let done = if event == RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            match self.claim(consumer, partitions) {
                ClaimOutcome::Done => {
                    self.status.clear(Component::Group);
                    // librdkafka remembers a pause from when it had the partition before.
                    consumer.assign(partitions).and_then(|()| consumer.resume(partitions))
                }
                ClaimOutcome::Abandoned => consumer.unassign(),
            }
        } else {
            if consumer.assignment_lost() {
                self.status.report(Component::Group, JOINING);
            }
            self.leave_shared();
            commit_offsets(consumer, &self.ownership, CommitMode::Async);
            for (topic, partition) in self.ownership.clear() {
                metrics::lag(self.projection, &topic, partition, 0);
            }
            consumer.unassign()
        };
        if let Err(error) = done {
            metrics::kafka_error(self.projection);
            tracing::error!(projection = self.projection, %error, "changing the partition assignment failed");
        }
    }
}

impl ConsumerState {
    /// Whether the shared consumer reads the partition for this projection.
    pub(super) fn is_shared(&self, topic: &str, partition: i32) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.follows(topic, partition))
    }

    /// The shared consumer delivers nothing after this call. It comes before the partitions are given up.
    pub(super) fn leave_shared(&self) {
        if let Some(shared) = &self.shared {
            shared.leave();
        }
    }

    /// Ends the thread with an error.
    pub(super) fn fail(&self, error: ProjectionError) {
        self.failure.lock().get_or_insert(error);
        self.stop.cancel();
    }
}

/// Commits to Kafka the offsets that Postgres has, for tools that show the lag. Nothing reads them back.
pub(super) fn commit_offsets(consumer: &Consumer, ownership: &Ownership, mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for (topic, partition, next_offset) in ownership.take_uncommitted() {
        // Fails only for offsets that Kafka cannot have.
        let _ = offsets.add_partition_offset(&topic, partition, Offset::Offset(next_offset));
    }
    if offsets.count() > 0
        && let Err(error) = consumer.commit(&offsets, mode)
    {
        tracing::debug!(%error, "offsets were not committed to kafka");
    }
}
