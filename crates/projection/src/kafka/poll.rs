//! The thread that polls Kafka.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, TopicPartitionList};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::error::{MissingOffset, ProjectionError};
use crate::kafka::client::{Consumer, commit_offsets};
use crate::kafka::topics::TopicCheck;
use crate::metrics;
use crate::record::Record;

/// Timeout of a poll, and so the maximum delay until the thread notices that it must end.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// Records that are taken from the client before they are handed on, so that what is done in between, such as reading the
/// clock, is not done for each of them.
const AT_ONCE: usize = 64;
/// How long the thread waits for room in the queue before it pauses the partitions. A pause discards what
/// librdkafka has fetched ahead, so it is for an outage of Postgres, not for each time the queue is full.
const PAUSE_AFTER: Duration = Duration::from_secs(5);
/// Timeout for the start and end of a partition, which are only used in an error message.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(1);
/// How often offsets are committed to Kafka.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Polls until it is stopped or cannot continue, then leaves the group. Runs in a thread of its own: a consumer
/// that does not poll is removed from its group.
pub(crate) fn poll(consumer: &Consumer, queue: &Sender<Record>) {
    std::thread::scope(|scope| {
        let ask_ahead = || consumer.context().topic_ids.ask_ahead(consumer.client());
        // Where there is no thread for it, the first claim asks.
        let _ = std::thread::Builder::new().name("topic-ids".to_owned()).spawn_scoped(scope, ask_ahead);
        poll_until_stopped(consumer, queue);
    });
}

fn poll_until_stopped(consumer: &Consumer, queue: &Sender<Record>) {
    let context = consumer.context();
    let mut waiting = VecDeque::new();
    let mut full_since = None;
    let mut is_paused = false;
    let mut committed = Instant::now();
    let mut topics = TopicCheck::default();
    while !context.stop.is_cancelled() && !queue.is_closed() {
        if committed.elapsed() >= COMMIT_INTERVAL {
            commit_offsets(consumer, &context.ownership, CommitMode::Async);
            committed = Instant::now();
        }
        topics.run_if_due(consumer);
        forward(queue, &mut waiting);
        if waiting.is_empty() {
            full_since = None;
            if std::mem::take(&mut is_paused) {
                change_assignment(consumer, Consumer::resume);
            }
            if let Some(Err(error)) = context.shared.as_ref().map(|shared| shared.hand_over(consumer)) {
                tracing::warn!(projection = context.projection, %error, "a partition could not be moved between two consumers");
                // A new session, so that no partition stays without one that reads it.
                break;
            }
        } else if full_since.get_or_insert_with(Instant::now).elapsed() < PAUSE_AFTER {
            let room = async { tokio::time::timeout(POLL_TIMEOUT, queue.reserve()).await.map(drop) };
            // The next iteration checks whether there is room.
            let _ = context.runtime.block_on(room);
            continue;
        } else {
            // In each iteration: partitions that were assigned meanwhile are not paused.
            change_assignment(consumer, Consumer::pause);
            is_paused = true;
        }
        match receive(consumer, &mut waiting) {
            ClientState::Usable => {}
            ClientState::Unusable => break,
        }
    }
    context.leave_shared();
    commit_offsets(consumer, &context.ownership, CommitMode::Sync);
    context.ownership.clear();
    consumer.unsubscribe();
}

/// Waits for a record and takes what has arrived with it.
fn receive(consumer: &Consumer, waiting: &mut VecDeque<Record>) -> ClientState {
    let context = consumer.context();
    let mut timeout = POLL_TIMEOUT;
    while waiting.len() < AT_ONCE {
        match consumer.poll(timeout) {
            None => break,
            Some(Ok(message)) => {
                let (topic, partition) = (message.topic(), message.partition());
                if !context.is_shared(topic, partition)
                    && let Some((topic, epoch)) = context.ownership.take(topic, partition, message.offset())
                {
                    waiting.push_back(Record::copy(&message, &topic, epoch));
                }
            }
            Some(Err(error)) => return handle_error(consumer, &error),
        }
        timeout = Duration::ZERO;
    }
    ClientState::Usable
}

fn forward(queue: &Sender<Record>, waiting: &mut VecDeque<Record>) {
    while let Some(record) = waiting.pop_front() {
        match queue.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(record)) => return waiting.push_front(record),
            Err(TrySendError::Closed(_)) => return,
        }
    }
}

/// Pauses or resumes the partitions that this consumer reads: those that the shared one reads stay paused.
fn change_assignment(
    consumer: &Consumer,
    change: fn(&Consumer, &TopicPartitionList) -> Result<(), KafkaError>,
) {
    let changed = consumer.assignment().and_then(|assigned| {
        let mut own = TopicPartitionList::new();
        for assigned in assigned.elements() {
            if !consumer.context().is_shared(assigned.topic(), assigned.partition()) {
                own.add_partition(assigned.topic(), assigned.partition());
            }
        }
        change(consumer, &own)
    });
    if let Err(error) = changed {
        tracing::warn!(%error, "partitions could not be paused or resumed");
    }
}

/// A client after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientState {
    Usable,
    /// The session must end: the next one creates a new client, unless the projection ends.
    Unusable,
}

/// Counts and logs an error. An offset that no longer exists ends the projection.
fn handle_error(consumer: &Consumer, error: &KafkaError) -> ClientState {
    let context = consumer.context();
    metrics::kafka_error(context.projection);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
        let (projection, source) = (context.projection, error.clone());
        // Kafka may be unreachable by now; the error then says less.
        let missing = missing_offsets(consumer).unwrap_or_default();
        context.fail(ProjectionError::OffsetGone { projection, missing, source });
        return ClientState::Unusable;
    }
    tracing::warn!(projection = context.projection, %error, "kafka client error");
    match error {
        KafkaError::MessageConsumptionFatal(_) => ClientState::Unusable,
        _ => ClientState::Usable,
    }
}

/// Finds the partitions whose next offset is outside of the log, which librdkafka's error does not name.
fn missing_offsets(consumer: &Consumer) -> Result<Vec<MissingOffset>, KafkaError> {
    let mut missing = Vec::new();
    for (topic, partition, offset) in consumer.context().ownership.stored_offsets() {
        let (start, end) = consumer.fetch_watermarks(&topic, partition, WATERMARK_TIMEOUT)?;
        if !(start..=end).contains(&offset) {
            missing.push(MissingOffset { topic: topic.to_string(), partition, offset, start, end });
        }
    }
    Ok(missing)
}
