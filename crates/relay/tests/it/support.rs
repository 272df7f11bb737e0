//! A store in memory, a real Kafka, a registry; and what a read_committed reader sees.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aqueduct_core::{
    CommandId, EventStore, ExpectedRevision, MemoryStore, Metadata, NewEvent, Position, RecordedEvent,
    Revision,
};
use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_kafka::Cluster;
use aqueduct_relay::{Options, Relay, RelayError, Status, create_topics, header};
use aqueduct_schema::{Registry, RegistryOptions, SchemaSet, TopicEvents, publish};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No condition in these tests takes this long on a slow, busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// One Kafka and one registry for all tests of the binary that do not break them.
pub(crate) async fn shared_stack() -> &'static DevStack {
    static STACK: OnceCell<DevStack> = OnceCell::const_new();
    STACK.get_or_init(own_stack).await
}

pub(crate) async fn own_stack() -> DevStack {
    let options = StackOptions { kafka: Part::start(), registry: Part::start(), ..StackOptions::none() };
    DevStack::start(options).await.expect("the development stack")
}

/// Key of records that a test writes as another producer; [`World::records`] skips them.
pub(crate) const FOREIGN: &str = "foreign";

type Relays = Arc<Mutex<Vec<Status>>>;

/// A relay's surroundings, with names that no other test has.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) options: Options,
    pub(crate) store: MemoryStore,
    pub(crate) schemas: Arc<SchemaSet>,
    pub(crate) registry: Registry,
    /// All that were started here: a test that waits in vain says whether a lane is halted or hangs.
    relays: Relays,
}

impl World {
    /// One route, `note` streams, schemas published, topics created.
    pub(crate) async fn new(stack: &DevStack) -> Self {
        let world = Self::unpublished(stack).await;
        world.publish(&["Noted", "Closed"]).await;
        world
    }

    pub(crate) async fn unpublished(stack: &DevStack) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("notes{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let options = serde_json::json!({
            "routes": [{"name": name, "topic": format!("test.{name}"), "categories": ["note"]}],
            "replication_factor": 1,
            "session_timeout_ms": 6000,
            "transaction_timeout_ms": 10_000,
            "idle_checkpoint_ms": 300,
            "retry_ms": 50,
            "halt_retry_ms": 300,
        });
        let options: Options = serde_json::from_value(options).unwrap();
        let cluster = Cluster { prefix: name, ..Cluster::new(stack.kafka_bootstrap().unwrap()) };
        create_topics(&cluster, &options).await.expect("topics");
        let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas");
        Self {
            cluster,
            options,
            store: MemoryStore::default(),
            schemas: Arc::new(SchemaSet::load(schemas).expect("schemas")),
            registry: Registry::new(&RegistryOptions::new(stack.registry_url().unwrap())).unwrap(),
            relays: Arc::default(),
        }
    }

    pub(crate) async fn publish(&self, event_types: &[&str]) {
        let event_types: Vec<_> = event_types.iter().map(|it| (*it).to_owned()).collect();
        let topics = self
            .options
            .routes
            .iter()
            .map(|route| TopicEvents { topic: route.topic.clone(), event_types: event_types.clone() });
        let topics: Vec<_> = topics.collect();
        publish(&self.schemas, &self.registry, &topics).await.expect("publishing");
    }

    pub(crate) fn route(&self) -> &str {
        &self.options.routes[0].name
    }

    pub(crate) fn topic(&self) -> &str {
        &self.options.routes[0].topic
    }

    /// Appends an event as the repository would.
    pub(crate) async fn append(&self, stream: &str, event_type: &str, version: u32, data: &str) -> Position {
        self.append_with(stream, event_type, data, &metadata(version)).await
    }

    pub(crate) async fn append_with(
        &self,
        stream: &str,
        event_type: &str,
        data: &str,
        metadata: &str,
    ) -> Position {
        let event = NewEvent {
            id: uuid::Uuid::new_v4(),
            event_type: event_type.to_owned(),
            data: data.to_owned().into(),
            metadata: metadata.to_owned().into(),
        };
        self.store.append(&stream.into(), ExpectedRevision::Any, &[event]).await.unwrap().position
    }

    /// Appends `count` notes, spread over `streams` streams.
    pub(crate) async fn append_notes(&self, streams: usize, count: usize) {
        for n in 0..count {
            let data = format!(r#"{{"text":"note {n}","colour":"red"}}"#);
            self.append(&format!("note-{}", n % streams), "Noted", 2, &data).await;
        }
    }

    /// Writes a record to the first partition of a topic, as a producer that is not the relay. It is durable when this
    /// returns.
    pub(crate) fn produce(&self, topic: &str, key: &str, value: Option<&str>) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", &self.cluster.brokers).create().unwrap();
        let mut record = BaseRecord::to(topic).partition(0).key(key);
        record.payload = value;
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    pub(crate) async fn stored(&self, stream: &str) -> Vec<RecordedEvent> {
        self.store.read_stream(&stream.into(), 0, usize::MAX).await.unwrap()
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(self.options.clone())
    }

    pub(crate) fn start_with(&self, options: Options) -> Running {
        self.start_on(Arc::new(self.store.clone()), options)
    }

    pub(crate) fn start_on(&self, store: Arc<dyn EventStore>, options: Options) -> Running {
        let relay = Relay::new(
            self.cluster.clone(),
            options,
            store,
            Arc::clone(&self.schemas),
            self.registry.clone(),
        )
        .unwrap();
        let (status, shutdown) = (relay.status(), CancellationToken::new());
        self.relays.lock().unwrap().push(status.clone());
        let task = tokio::spawn(relay.run(shutdown.clone()));
        Running { status, shutdown, task }
    }

    /// Every committed record of the topic, by partition, once there are at least `count`.
    pub(crate) fn records(&self, count: usize) -> impl Future<Output = Vec<Seen>> + use<> {
        let (brokers, topic) = (self.cluster.brokers.clone(), self.topic().to_owned());
        let partitions = self.options.routes[0].partitions.get();
        let relays = Arc::clone(&self.relays);
        let read =
            tokio::task::spawn_blocking(move || read_topic(&brokers, &topic, partitions, count, relays));
        async { read.await.expect("reading the topic") }
    }

    /// The checkpoints of the route's first lane, as JSON.
    pub(crate) async fn checkpoints(&self, count: usize) -> Vec<serde_json::Value> {
        let topic = self.options.routes[0].checkpoint_topic(&self.cluster.prefix);
        let records = self.records_in(&topic, count).await;
        records.iter().map(|it| serde_json::from_slice(&it.value).unwrap()).collect()
    }

    /// Every committed record of the first partition of a topic of the lanes, once there are at least `count`.
    pub(crate) async fn records_in(&self, topic: &str, count: usize) -> Vec<Seen> {
        let (brokers, topic) = (self.cluster.brokers.clone(), topic.to_owned());
        let relays = Arc::clone(&self.relays);
        let read = tokio::task::spawn_blocking(move || read_topic(&brokers, &topic, 1, count, relays));
        read.await.expect("reading the topic")
    }

    /// Every event of the store is in the topic once, each stream in order: nothing lost, nothing doubled.
    pub(crate) async fn assert_complete(&self, count: usize) -> Vec<Seen> {
        let records = self.records(count).await;
        let mut streams: BTreeMap<&str, Vec<Revision>> = BTreeMap::new();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for record in &records {
            let end = ends.insert(record.partition, record.offset);
            assert!(
                end < Some(record.offset),
                "the reader went back to offset {} after {end:?}",
                record.offset
            );
            streams.entry(&record.key).or_default().push(record.revision());
        }
        let mut places = BTreeMap::new();
        for record in &records {
            let place = (record.partition, record.offset);
            let before = places.insert((&record.key, record.revision()), place);
            assert_eq!(before, None, "{}@{} is at {place:?} too", record.revision(), record.key);
        }
        for (stream, found) in streams {
            let stored: Vec<_> = self.stored(stream).await.iter().map(|event| event.revision).collect();
            assert_eq!(found, stored, "revisions of {stream} in the topic and in the store");
        }
        assert_eq!(records.len(), count, "records in the topic");
        records
    }
}

/// Metadata of an event whose data has the given version.
pub(crate) fn metadata(schema_version: u32) -> String {
    let metadata = Metadata {
        schema_version,
        aggregate_type: "note".to_owned(),
        aggregate_id: "1".to_owned(),
        timestamp: "2010-12-01T08:26:00Z".parse().unwrap(),
        correlation_id: uuid::Uuid::from_u128(1),
        causation_id: uuid::Uuid::from_u128(2),
        command_id: CommandId::from(uuid::Uuid::from_u128(3)),
        command_fingerprint: None,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    };
    serde_json::to_string(&metadata).unwrap()
}

/// A relay at work.
pub(crate) struct Running {
    pub(crate) status: Status,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RelayError>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task).await;
        ended.expect("the relay ends in time").unwrap().unwrap();
    }

    /// Takes its tasks away in the middle of what they do.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let ended = tokio::time::timeout(DEADLINE, self.task).await.expect("the relay ends in time");
        assert!(ended.unwrap_err().is_cancelled());
    }

    /// Waits until the status is as expected.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&Status) -> bool) {
        let wait = async {
            while !condition(&self.status) {
                self.status.changed().await.expect("a relay that runs");
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("not in time: {what}; not ready: {:?}", self.status.not_ready());
        }
    }

    pub(crate) async fn ready(&mut self) {
        self.until("ready", |status| status.not_ready().is_empty()).await;
    }
}

/// A record as a reader sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) offset: i64,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) value: Vec<u8>,
}

impl Seen {
    pub(crate) fn revision(&self) -> Revision {
        self.headers[header::REVISION].parse().unwrap()
    }
}

pub(crate) fn reader(brokers: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "10")
        .create()
        .expect("a reader")
}

/// Reads until every partition's end was seen after at least `count` records.
fn read_topic(brokers: &str, topic: &str, partitions: u32, count: usize, relays: Relays) -> Vec<Seen> {
    let consumer = reader(brokers);
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions as i32 {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let (mut seen, mut ended) = (Vec::new(), vec![false; partitions as usize]);
    let deadline = Instant::now() + DEADLINE;
    while seen.len() < count || ended.contains(&false) {
        assert!(
            Instant::now() < deadline,
            "{} of {count} records in {topic} in time; not ready, of each relay: {:?}",
            seen.len(),
            relays.lock().unwrap().iter().map(Status::not_ready).collect::<Vec<_>>()
        );
        match consumer.poll(Duration::from_millis(100)) {
            // What others write, and what a lane reports next to its checkpoints.
            Some(Ok(record)) if [FOREIGN.as_bytes(), b"status"].map(Some).contains(&record.key()) => {}
            Some(Ok(record)) => {
                ended[record.partition() as usize] = false;
                let headers = record.headers().map(|headers| {
                    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
                    headers.iter().map(|it| (it.key.to_owned(), text(it.value))).collect()
                });
                seen.push(Seen {
                    partition: record.partition(),
                    offset: record.offset(),
                    key: String::from_utf8(record.key().unwrap().to_vec()).unwrap(),
                    headers: headers.unwrap_or_default(),
                    value: record.payload().unwrap_or_default().to_vec(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => ended[partition as usize] = true,
            // Brokers come and go in these tests; the deadline is what counts.
            Some(Err(_)) | None => {}
        }
    }
    seen
}
