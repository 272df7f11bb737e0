//! The shared consumer's client and its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqueduct_kafka::{BrokerWatch, Cluster, create_client, log, log_error};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use crate::kafka::lag;
use crate::kafka::shared::partitions::{AssignmentChange, SharedPartitions, kafka_offset};
use crate::metrics;
use crate::record::Record;
use crate::record::partition::Partition;

/// Timeout of a poll, and so the maximum delay until a partition is read.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// Records that are handed out before the assignment is checked again.
const AT_ONCE: usize = 64;
/// As for the projections' own consumers: the lag is as old as this.
const STATISTICS_INTERVAL_MS: &str = "1000";
/// After this time without a broker the projections continue with their own consumers, and another client is made later.
const BROKER_PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct SharedContext {
    partitions: Arc<SharedPartitions>,
    watch: BrokerWatch,
    is_lost: AtomicBool,
}

type Client = BaseConsumer<SharedContext>;

/// Creates the client. It joins no group, and has no partitions yet.
pub(super) fn create(
    cluster: &Cluster,
    group: &str,
    partitions: Arc<SharedPartitions>,
) -> Result<Client, KafkaError> {
    let mut config = cluster.consumer_config(group, &[]);
    config.set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
    let watch = BrokerWatch::with_patience(BROKER_PATIENCE);
    create_client(&config, SharedContext { partitions, watch, is_lost: AtomicBool::new(false) })
}

/// Reads until nobody wants a partition for a while, or until the client is of no use. Returns the client, to be closed.
pub(super) fn read(client: Client, partitions: &SharedPartitions) -> Client {
    while !partitions.is_idle() && !client.context().is_lost.load(Ordering::Relaxed) {
        let read = assign(&client, &partitions.assignment_change())
            .and_then(|()| hand_out_available(&client, partitions));
        if let Err(error) = read {
            count_error(partitions);
            tracing::warn!(%error, "the shared consumer ends, the projections continue with their own");
            break;
        }
    }
    client
}

/// An error of this client is one of each projection for which it reads.
fn count_error(partitions: &SharedPartitions) {
    partitions.projections().into_iter().for_each(metrics::kafka_error);
}

fn assign(consumer: &Client, AssignmentChange { start, stop }: &AssignmentChange) -> Result<(), KafkaError> {
    if !start.is_empty() {
        let mut list = TopicPartitionList::new();
        for (Partition { topic, number }, next_offset) in start {
            list.add_partition_offset(topic, *number, kafka_offset(*next_offset))?;
        }
        consumer.incremental_assign(&list)?;
    }
    if !stop.is_empty() {
        let mut list = TopicPartitionList::new();
        for Partition { topic, number } in stop {
            list.add_partition(topic, *number);
        }
        consumer.incremental_unassign(&list)?;
    }
    Ok(())
}

/// Waits for a record, then hands out what has arrived with it. Returns an error after which the client is of no use.
fn hand_out_available(consumer: &Client, partitions: &SharedPartitions) -> Result<(), KafkaError> {
    let mut topic: Arc<str> = "".into();
    let mut timeout = POLL_TIMEOUT;
    for _ in 0..AT_ONCE {
        match consumer.poll(timeout) {
            None => break,
            Some(Ok(message)) => {
                if *topic != *message.topic() {
                    topic = message.topic().into();
                }
                partitions.hand_out(&Record::copy(&message, &topic, 0));
            }
            // A record that somebody needs is gone: that one's own consumer reports it.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                return Err(error);
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            Some(Err(error)) => {
                count_error(partitions);
                let projections = partitions.projections();
                tracing::warn!(?projections, %error, "error of the shared consumer's kafka client");
            }
        }
        timeout = Duration::ZERO;
    }
    Ok(())
}

impl ClientContext for SharedContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.watch.observe(&statistics);
        if self.watch.lost_for().is_some() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        for (topic, partition) in lag::partitions(&statistics) {
            if !lag::is_current(partition) {
                continue;
            }
            for follower in self.partitions.observe(topic, partition.partition) {
                lag::report(follower.ownership(), topic, partition);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        count_error(&self.partitions);
        log_error(&error, reason);
    }
}

impl ConsumerContext for SharedContext {}
