//! The Kafka side: a thread of its own that polls, claims partitions and hands records over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::ErrorKind;
use parking_lot::Mutex;
use rdkafka::bindings::{rd_kafka_resp_err_t, rd_kafka_resp_err_t as RespErr};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext, Message as _, Offset, Statistics, TopicPartitionList};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::batch::describe;
use crate::ownership::Ownership;
use crate::postgres::error_kind;
use crate::status::{Board, JOINING, Part};
use crate::{Options, ProjectionError, Record, backoff, metrics};

/// How long a poll waits; bounds how late the thread notices that it is to end.
const POLL: Duration = Duration::from_millis(100);
/// How long the thread waits for room before it pauses the partitions. Pausing throws away what librdkafka
/// has fetched ahead, so it is for the case that Postgres is gone, not for each time the queue is full.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often Kafka is told of the offsets, for its lag to show.
const SHOW_OFFSETS: Duration = Duration::from_secs(1);

/// How often it is looked for topics that can't be read, while there are any.
const WHILE_UNREADABLE: Duration = Duration::from_secs(3);
/// And while there are none.
const WHILE_READABLE: Duration = Duration::from_secs(60);
/// How long Kafka may take to say whether a topic exists.
const ABOUT_A_TOPIC: Duration = Duration::from_secs(1);

/// For how many session time-outs, and how long at least, no broker may be reached until a new client is made.
/// A client that was told, while a broker started, that there are no brokers may never find one again
/// (librdkafka issue 5301); its group has forgotten it by then anyway.
const CLIENT_GIVEN_UP: (u32, Duration) = (3, Duration::from_secs(30));

/// What the thread and librdkafka's callbacks (which it runs) share.
pub(crate) struct Context {
    pub(crate) projection: &'static str,
    pub(crate) pool: PgPool,
    /// How long a claim may take before it is tried again.
    pub(crate) timeout: Duration,
    pub(crate) ownership: Arc<Ownership>,
    /// Ends the thread.
    pub(crate) stop: CancellationToken,
    pub(crate) runtime: Handle,
    pub(crate) board: Board,
    /// Named where none of them can be reached.
    pub(crate) brokers: String,
    /// The group's session time-out.
    pub(crate) session_timeout: Duration,
    /// Since when no broker can be reached.
    pub(crate) unreachable: Mutex<Option<Instant>>,
    /// Why the thread ended by itself.
    pub(crate) failure: Arc<Mutex<Option<ProjectionError>>>,
}

pub(crate) type Consumer = BaseConsumer<Context>;

/// Makes the client and joins the group.
pub(crate) fn join(options: &Options, topics: &[&str], context: Context) -> Result<Consumer, KafkaError> {
    let mut config = ClientConfig::new();
    // Quiet topics would otherwise wait half a second for their records.
    config.set("fetch.wait.max.ms", "10");
    // New partitions, and topics made after the start, are noticed within this time.
    config.set("topic.metadata.refresh.interval.ms", "5000");
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", options.group(context.projection))
        .set("session.timeout.ms", options.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (options.session_timeout_ms / 3).to_string())
        // What delivery rests on: aborted transactions are not seen, Postgres says where to go on, and where
        // that is not there any more it is an error.
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        // All partitions are given back and claimed anew at each change of the group: the simplest that is
        // right, and a claim costs one statement.
        .set("partition.assignment.strategy", "range")
        .set("statistics.interval.ms", "1000");
    let consumer: Consumer = config.create_with_context(context)?;
    consumer.subscribe(topics)?;
    Ok(consumer)
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        // Errors of the client tell that brokers are gone, but nothing tells that one is back.
        match statistics.brokers.values().any(|broker| broker.state == "UP") {
            true => {
                *self.unreachable.lock() = None;
                self.board.solved(Part::Brokers);
            }
            false => self.no_broker(),
        }
        for (name, topic) in &statistics.topics {
            for (number, partition) in &topic.partitions {
                let Some(in_hand) = self.ownership.in_hand(name, *number) else { continue };
                // The next offset to fetch passes over transaction markers, so that this reaches zero.
                let unread = partition.ls_offset - partition.next_offset;
                if partition.ls_offset >= 0 && partition.next_offset >= 0 {
                    let behind = unread.max(0) + partition.fetchq_cnt + in_hand;
                    metrics::lag(self.projection, name, *number, behind);
                }
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        metrics::kafka_error(self.projection);
        tracing::warn!(projection = self.projection, %error, reason, "kafka");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &Consumer,
        event: rd_kafka_resp_err_t,
        partitions: &mut TopicPartitionList,
    ) {
        let done = match event {
            RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => match self.claim(partitions) {
                true => {
                    self.board.solved(Part::Group);
                    consumer.assign(partitions)
                }
                false => consumer.unassign(),
            },
            _ => {
                if consumer.assignment_lost() {
                    self.board.problem(Part::Group, JOINING);
                }
                show_offsets(consumer, &self.ownership, CommitMode::Async);
                for (topic, partition) in self.ownership.clear() {
                    metrics::lag(self.projection, &topic, partition, 0);
                }
                consumer.unassign()
            }
        };
        if let Err(error) = done {
            metrics::kafka_error(self.projection);
            tracing::error!(projection = self.projection, %error, "assignment failed");
        }
    }
}

impl Context {
    fn no_broker(&self) {
        let problem = format!("no kafka broker of {} can be reached", self.brokers);
        self.board.problem(Part::Brokers, problem);
        let since = *self.unreachable.lock().get_or_insert_with(Instant::now);
        let (timeouts, at_least) = CLIENT_GIVEN_UP;
        if since.elapsed() > (self.session_timeout * timeouts).max(at_least) {
            tracing::warn!(projection = self.projection, "no kafka broker for long: a new client is made");
            self.stop.cancel();
        }
    }

    /// Claims the partitions and sets their offsets. False: the thread is to end.
    fn claim(&self, partitions: &mut TopicPartitionList) -> bool {
        let wanted: Vec<(Arc<str>, i32)> =
            partitions.elements().iter().map(|wanted| (wanted.topic().into(), wanted.partition())).collect();
        for (topic, partition) in wanted {
            let Some(next) = self.claim_one(&topic, partition) else { return false };
            let offset = next.map_or(Offset::Beginning, Offset::Offset);
            // In place: the list belongs to the event that brought it.
            if let Err(source) = partitions.set_partition_offset(&topic, partition, offset) {
                self.fail(ProjectionError::Kafka { projection: self.projection, source });
                return false;
            }
        }
        true
    }

    /// Insists until Postgres answers: Kafka's heartbeats go on meanwhile, in a thread of librdkafka.
    fn claim_one(&self, topic: &Arc<str>, partition: i32) -> Option<Option<i64>> {
        let mut waits = backoff::waits();
        while !self.stop.is_cancelled() {
            let claim = async {
                let claim = self.ownership.claim(&self.pool, topic, partition);
                tokio::time::timeout(self.timeout, claim).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            };
            match self.runtime.block_on(self.stop.run_until_cancelled(claim))? {
                Ok((_, next)) => return Some(next),
                Err(error) if error_kind(&error) == ErrorKind::Retry => {
                    metrics::error(self.projection, ErrorKind::Retry);
                    let error = describe(&error);
                    let problem =
                        format!("postgres: partition {partition} of {topic} is not claimed: {error}");
                    self.board.problem(Part::Group, problem);
                    tracing::warn!(
                        projection = self.projection, %topic, partition, error,
                        "partition not claimed, will be tried again"
                    );
                    let wait = async { tokio::time::sleep(waits.next().unwrap_or_default()).await };
                    self.runtime.block_on(self.stop.run_until_cancelled(wait))?;
                }
                Err(source) => {
                    self.fail(ProjectionError::Postgres { projection: self.projection, source });
                    return None;
                }
            }
        }
        None
    }

    fn fail(&self, error: ProjectionError) {
        self.failure.lock().get_or_insert(error);
        self.stop.cancel();
    }
}

/// Tells Kafka how far Postgres is. Only for people and tools: nothing reads it back.
fn show_offsets(consumer: &Consumer, ownership: &Ownership, mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for (topic, partition, next_offset) in ownership.to_show() {
        // Fails only for offsets that Kafka can't have.
        let _ = offsets.add_partition_offset(&topic, partition, Offset::Offset(next_offset));
    }
    if offsets.count() > 0
        && let Err(error) = consumer.commit(&offsets, mode)
    {
        tracing::debug!(%error, "kafka was not told of the offsets");
    }
}

/// Polls until it is told to stop or can't go on, then leaves the group. Runs in a thread of its own: a
/// consumer that does not poll is thrown out of its group.
pub(crate) fn poll(consumer: &Consumer, queue: &Sender<Record>) {
    let context = consumer.context();
    let mut waiting = VecDeque::new();
    let mut full_since = None;
    let mut paused = false;
    let mut shown = Instant::now();
    let mut unreadable = UnreadableTopics::default();
    while !context.stop.is_cancelled() && !queue.is_closed() {
        if shown.elapsed() >= SHOW_OFFSETS {
            show_offsets(consumer, &context.ownership, CommitMode::Async);
            shown = Instant::now();
        }
        unreadable.look(consumer);
        hand_over(queue, &mut waiting);
        if waiting.is_empty() {
            full_since = None;
            if std::mem::take(&mut paused) {
                change(consumer, Consumer::resume);
            }
        } else if full_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            let room = async { tokio::time::timeout(POLL, queue.reserve()).await.map(drop) };
            // Whether there is room now is seen at the next turn.
            let _ = context.runtime.block_on(room);
            continue;
        } else {
            // Again each time: partitions that were assigned meanwhile are not paused.
            change(consumer, Consumer::pause);
            paused = true;
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let owned = context.ownership.taken_in_hand(message.topic(), message.partition());
                if let Some((topic, epoch)) = owned {
                    waiting.push_back(Record::copy(&message, &topic, epoch));
                }
            }
            Some(Err(error)) if goes_on(context, &error) => {}
            Some(Err(_)) => break,
        }
    }
    show_offsets(consumer, &context.ownership, CommitMode::Sync);
    context.ownership.clear();
    consumer.unsubscribe();
}

/// Looks for topics that do not exist or may not be read: a group waits for them in silence.
#[derive(Default)]
struct UnreadableTopics {
    looked: Option<Instant>,
    none: bool,
}

impl UnreadableTopics {
    fn look(&mut self, consumer: &Consumer) {
        let every = if self.none { WHILE_READABLE } else { WHILE_UNREADABLE };
        if self.looked.is_some_and(|looked| looked.elapsed() < every) {
            return;
        }
        // Where no broker answers, that is said elsewhere.
        if let Ok(unreadable) = unreadable_topics(consumer) {
            let board = &consumer.context().board;
            match unreadable.is_empty() {
                true => board.solved(Part::Topics),
                false => board.problem(Part::Topics, unreadable.join(", ")),
            }
            self.none = unreadable.is_empty();
        }
        self.looked = Some(Instant::now());
    }
}

fn unreadable_topics(consumer: &Consumer) -> Result<Vec<String>, KafkaError> {
    let mut unreadable = Vec::new();
    for topic in consumer.subscription()?.elements() {
        let metadata = consumer.fetch_metadata(Some(topic.topic()), ABOUT_A_TOPIC)?;
        for topic in metadata.topics() {
            let name = topic.name();
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                    unreadable.push(format!("kafka has no topic {name}: make it with `aqueduct setup`"));
                }
                Some(error) => unreadable.push(format!("kafka's topic {name} can't be read: {error}")),
            }
        }
    }
    Ok(unreadable)
}

fn hand_over(queue: &Sender<Record>, waiting: &mut VecDeque<Record>) {
    while let Some(record) = waiting.pop_front() {
        match queue.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(record)) => return waiting.push_front(record),
            Err(TrySendError::Closed(_)) => return,
        }
    }
}

fn change(consumer: &Consumer, change: fn(&Consumer, &TopicPartitionList) -> Result<(), KafkaError>) {
    if let Err(error) = consumer.assignment().and_then(|partitions| change(consumer, &partitions)) {
        tracing::warn!(%error, "partitions could not be paused or resumed");
    }
}

/// Whether the client can be used on after an error.
fn goes_on(context: &Context, error: &KafkaError) -> bool {
    metrics::kafka_error(context.projection);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
        let problem = error.to_string();
        context.fail(ProjectionError::OffsetGone { projection: context.projection, problem });
        return false;
    }
    tracing::warn!(projection = context.projection, %error, "kafka");
    // The client is of no use after a fatal error: the next session makes a new one.
    !matches!(error, KafkaError::MessageConsumptionFatal(_))
}
