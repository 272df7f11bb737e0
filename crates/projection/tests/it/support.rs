//! Servers, databases, records, and waiting for conditions.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use aqueduct_core::DomainEvent;
use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_kafka::Cluster;
use aqueduct_projection::{
    DecodeError, Decoder, Envelope, Headers, Options, Payload, PostgresOptions, Projection, ProjectionError,
    Record, Status, migrate,
};
use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::bindings::rd_kafka_header_add;
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, FutureProducer, FutureRecord};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bank::{BankEvent, TABLES, json};

/// Deadline of conditions.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Kafka and Postgres, shared by all tests. They end with the process.
pub(crate) fn stack() -> &'static DevStack {
    static STACK: LazyLock<(tokio::runtime::Runtime, DevStack)> = LazyLock::new(|| {
        let start = || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let options =
                StackOptions { kafka: Part::start(), postgres: Part::start(), ..StackOptions::none() };
            let stack = runtime.block_on(DevStack::start(options)).unwrap();
            (runtime, stack)
        };
        std::thread::spawn(start).join().unwrap()
    });
    &STACK.1
}

/// Waits until a condition is met. Returns the last error of the condition after [`DEADLINE`].
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> Result<(), String>) -> Result<(), String> {
    let deadline = Instant::now() + DEADLINE;
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    loop {
        polls.tick().await;
        let result = condition().await;
        if result.is_ok() || Instant::now() >= deadline {
            return result;
        }
    }
}

/// Waits until a projection reports what the test expects. `expected` describes it.
pub(crate) async fn wait_for_status(
    mut status: Status,
    expected: &str,
    is_expected: impl Fn(Option<&str>) -> bool,
) {
    let waiting = async {
        while !is_expected(status.not_ready().as_deref()) {
            status.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(waited.is_ok(), "not {expected}, but {:?}", status.not_ready());
}

/// A projection that runs in a task.
pub(crate) struct Running {
    shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ProjectionError>>,
}

impl Running {
    pub(crate) fn start(projection: Projection) -> Self {
        let shutdown = CancellationToken::new();
        Self { shutdown: shutdown.clone(), task: tokio::spawn(projection.run(shutdown)) }
    }

    /// Shuts it down, which it must survive without an error.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.end().await.unwrap();
    }

    /// Waits until it ends.
    pub(crate) async fn end(self) -> Result<(), ProjectionError> {
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap()
    }
}

/// A database of its own with the tables of the inbox and of the bank.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

impl Database {
    pub(crate) async fn create() -> Self {
        Self::create_on(stack()).await
    }

    pub(crate) async fn create_on(stack: &DevStack) -> Self {
        let database = Self::create_empty_on(stack).await;
        migrate(&database.pool).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
        database
    }

    /// A database without tables.
    pub(crate) async fn create_empty_on(stack: &DevStack) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("projection_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = stack.create_database(&name).await.unwrap();
        let pool = PgPool::connect(&url).await.unwrap();
        Self { url, pool }
    }

    /// Options without Kafka.
    pub(crate) fn options(&self) -> Options {
        let postgres = PostgresOptions { timeout_seconds: 10, ..PostgresOptions::new(&self.url) };
        Options::new(postgres, Cluster::new("localhost:1"))
    }

    /// Options for an instance in the groups of this prefix.
    pub(crate) fn options_on(&self, brokers: &str, prefix: &str) -> Options {
        let cluster = Cluster { prefix: prefix.to_owned(), ..Cluster::new(brokers) };
        Options { cluster, ..self.options() }
    }

    /// One column of a query, as text.
    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&self.pool).await.unwrap()
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until a query returns a number.
    pub(crate) async fn wait_for(&self, query: &'static str, expected: i64) {
        self.wait_until(query, |number| number == expected).await;
    }

    /// Waits until the result of a query satisfies a condition.
    pub(crate) async fn wait_until(&self, query: &'static str, is_enough: impl Fn(i64) -> bool) {
        let is_met = async || {
            // A server that is being restarted does not answer.
            let number: Option<i64> = sqlx::query_scalar(query).fetch_one(&self.pool).await.ok();
            if number.is_some_and(&is_enough) { Ok(()) } else { Err(format!("{query} returns {number:?}")) }
        };
        if let Err(unmet) = eventually(is_met).await {
            let parked = self.texts("select reason from aqueduct.parked order by id limit 3").await;
            panic!("{unmet}; first parked events: {parked:?}");
        }
    }
}

/// From now on each batch is written by a transaction.
pub(crate) async fn forbid_single_statements(database: &Database) {
    sqlx::raw_sql(
        "create or replace function aqueduct.batch_check(in_is_complete boolean) returns boolean
         language plpgsql as $$ begin raise exception using errcode = 'AQ002', message = 'forbidden'; end $$",
    )
    .execute(&database.pool)
    .await
    .unwrap();
}

/// Events as plain JSON: these tests do not depend on Avro.
pub(crate) struct PlainJson;

#[async_trait]
impl Decoder for PlainJson {
    async fn decode<'a>(&self, _: &Envelope, payload: &'a [u8]) -> Result<Payload<'a>, DecodeError> {
        Ok(Payload::Json(payload.into()))
    }
}

pub(crate) fn plain() -> Arc<dyn Decoder> {
    Arc::new(PlainJson)
}

/// An event as the relay would write it.
#[derive(Debug, Clone)]
pub(crate) struct TestRecord {
    pub(crate) stream: String,
    pub(crate) event_type: String,
    pub(crate) revision: i64,
    /// `None`: the header is left out.
    pub(crate) previous: Option<i64>,
    pub(crate) payload: Vec<u8>,
    pub(crate) more: Vec<(&'static str, String)>,
    pub(crate) without: Option<&'static str>,
    /// In Kafka it has one header more, whose name is not UTF-8.
    pub(crate) unnamed_header: bool,
}

/// The event of a stream at a revision, after the one before it.
pub(crate) fn event(stream: &str, revision: i64, event: &BankEvent) -> TestRecord {
    TestRecord {
        stream: stream.to_owned(),
        event_type: event.event_type().to_owned(),
        revision,
        previous: Some(revision - 1),
        payload: json(event),
        more: Vec::new(),
        without: None,
        unnamed_header: false,
    }
}

impl TestRecord {
    pub(crate) fn headers(&self) -> Headers {
        let revision = self.revision.to_string();
        let previous = self.previous.map(|previous| previous.to_string());
        let id = format!("{revision}@{}", self.stream);
        let full_type = format!("bank.{}", self.event_type);
        let mut headers = Headers::default();
        for (name, value) in [
            ("ce_specversion", Some("1.0")),
            ("ce_id", Some(&*id)),
            ("ce_type", Some(&*full_type)),
            ("ce_source", Some("aqueduct/eventstore")),
            ("ce_subject", Some(&*self.stream)),
            ("ce_time", Some("2026-11-23T03:04:05.678Z")),
            ("ce_revision", Some(&*revision)),
            ("ce_previousrevision", previous.as_deref()),
            ("ce_position", Some("9001")),
            ("ce_schemaversion", Some("1")),
        ] {
            if let Some(value) = value.filter(|_| self.without != Some(name)) {
                headers.push(name, Some(value.as_bytes()));
            }
        }
        for (name, value) in &self.more {
            headers.push(name, Some(value.as_bytes()));
        }
        headers
    }

    pub(crate) fn for_kafka<'a>(&'a self, topic: &'a str, partition: i32) -> BaseRecord<'a, str, [u8]> {
        let headers = self.headers();
        let mut owned = OwnedHeaders::new();
        for (key, value) in headers.iter() {
            owned = owned.insert(Header { key, value });
        }
        if self.unnamed_header {
            let native: *const BorrowedHeaders = owned.as_borrowed();
            // SAFETY: this is librdkafka's own pointer, and it copies the name.
            unsafe { rd_kafka_header_add(native.cast_mut().cast(), c"caf\xe9".as_ptr(), -1, ptr::null(), 0) };
        }
        BaseRecord::to(topic).partition(partition).key(&*self.stream).payload(&*self.payload).headers(owned)
    }

    /// As if read from partition 0.
    pub(crate) fn record(&self, epoch: i64, offset: i64) -> Record {
        Record {
            topic: "bank.0".into(),
            partition: 0,
            offset,
            epoch,
            key: Some(self.stream.clone().into()),
            payload: Some(self.payload.clone().into()),
            headers: self.headers(),
        }
    }
}

/// Numbers records of one partition, from an offset on.
pub(crate) fn records(epoch: i64, first_offset: i64, events: &[TestRecord]) -> Vec<Record> {
    events.iter().zip(first_offset..).map(|(event, offset)| event.record(epoch, offset)).collect()
}

/// A topic with records.
pub(crate) struct Topic {
    pub(crate) name: String,
    partitions: i32,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Topic {
    pub(crate) async fn create(name: &str, partitions: i32) -> Self {
        Self::create_on(stack().kafka_bootstrap().unwrap(), name, partitions).await
    }

    pub(crate) async fn create_on(brokers: &str, name: &str, partitions: i32) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("message.timeout.ms", "60000")
            // Without it the first batch to a new topic may be sent again behind the second one.
            .set("enable.idempotence", "true");
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        created[0].as_ref().unwrap();
        Self { name: name.to_owned(), partitions, admin, producer: config.create().unwrap() }
    }

    pub(crate) async fn delete(self) {
        let deleted = self.admin.delete_topics(&[&self.name], &AdminOptions::new()).await.unwrap();
        deleted[0].as_ref().unwrap();
    }

    /// Writes events, those of a stream into one partition and in order.
    pub(crate) async fn write(&self, events: &[TestRecord]) {
        let mut deliveries = Vec::new();
        for event in events {
            let partition = event.stream.bytes().map(i32::from).sum::<i32>() % self.partitions;
            let base = event.for_kafka(&self.name, partition);
            // A future record is not a base record, though they have the same fields.
            let record = FutureRecord::to(base.topic)
                .partition(partition)
                .key(base.key.unwrap())
                .payload(base.payload.unwrap())
                .headers(base.headers.unwrap());
            deliveries.push(self.producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }
}
