//! Servers, databases, records, and waiting for conditions.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use aqueduct_core::DomainEvent;
use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_kafka::Cluster;
use aqueduct_projection::{
    DecodeError, Decoder, Envelope, Headers, Options, Payload, PostgresOptions, Record, migrate,
};
use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::bindings::rd_kafka_header_add;
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, FutureProducer, FutureRecord};
use sqlx::PgPool;

use crate::bank::{BankEvent, TABLES, json};

/// Deadline of conditions.
const PATIENCE: Duration = Duration::from_secs(60);

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
    pub(crate) async fn wait_until(&self, query: &'static str, enough: impl Fn(i64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A server that is being restarted does not answer.
            let number: Option<i64> = sqlx::query_scalar(query).fetch_one(&self.pool).await.ok();
            if number.is_some_and(&enough) {
                return;
            }
            if Instant::now() >= deadline {
                let parked: i64 = sqlx::query_scalar("select count(*) from aqueduct.parked")
                    .fetch_one(&self.pool)
                    .await
                    .unwrap();
                panic!("{query} still returns {number:?}; {parked} events are parked");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
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
pub(crate) struct Made {
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
pub(crate) fn event(stream: &str, revision: i64, event: &BankEvent) -> Made {
    Made {
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

impl Made {
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
pub(crate) fn records(epoch: i64, first_offset: i64, events: &[Made]) -> Vec<Record> {
    events.iter().zip(first_offset..).map(|(made, offset)| made.record(epoch, offset)).collect()
}

/// A topic with records.
pub(crate) struct Topic {
    pub(crate) name: String,
    partitions: i32,
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
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        made[0].as_ref().unwrap();
        Self { name: name.to_owned(), partitions, producer: config.create().unwrap() }
    }

    /// Writes events, those of a stream into one partition and in order.
    pub(crate) async fn write(&self, events: &[Made]) {
        let mut deliveries = Vec::new();
        for made in events {
            let partition = made.stream.bytes().map(i32::from).sum::<i32>() % self.partitions;
            let made = made.for_kafka(&self.name, partition);
            // A future record is not a base record, though they have the same fields.
            let record = FutureRecord::to(made.topic)
                .partition(partition)
                .key(made.key.unwrap())
                .payload(made.payload.unwrap())
                .headers(made.headers.unwrap());
            deliveries.push(self.producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }
}
