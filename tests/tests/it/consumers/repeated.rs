//! Copies of the shop's topics in which every tenth record comes twice, written bit by bit.

use std::collections::BTreeMap;

use fastrand::Rng;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::{PATIENCE, Pipeline};
use crate::topic::{committed_records, header, partitions};

/// The copies are `<prefix>.<topic>`.
pub(super) const PREFIX: &str = "repeated";
const TOPICS: [&str; 3] = ["shop.users", "shop.orders", "shop.inventory"];
const EVERY: usize = 10;
/// How many records of the three topics come between a record and its copy, at most.
const DISTANCE: usize = 400;

/// The topics, and what is to be written to them.
pub(super) struct Repeated {
    producer: BaseProducer,
    records: std::vec::IntoIter<OwnedMessage>,
    /// How many are written at a time.
    part: usize,
    written: BTreeMap<String, i64>,
}

impl Repeated {
    /// Reads the topics and creates the copies, which are written in so many parts.
    pub(super) async fn create(pipeline: &Pipeline, parts: usize, random: &mut Rng) -> Self {
        let brokers = pipeline.stack.kafka_bootstrap().unwrap();
        let config = ClientConfig::new().set("bootstrap.servers", brokers).clone();
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        for topic in TOPICS {
            let name = format!("{PREFIX}.{topic}");
            let new = NewTopic::new(&name, partitions(brokers, topic), TopicReplication::Fixed(1));
            for created in admin.create_topics([&new], &AdminOptions::new()).await.unwrap() {
                created.unwrap();
            }
        }
        let records = repeat(TOPICS.iter().map(|topic| committed_records(brokers, topic)).collect(), random);
        Self {
            producer: config.clone().set("enable.idempotence", "true").create().unwrap(),
            part: records.len().div_ceil(parts),
            records: records.into_iter(),
            written: BTreeMap::new(),
        }
    }

    /// False: everything is written.
    pub(super) fn write_some(&mut self) -> bool {
        let some: Vec<_> = self.records.by_ref().take(self.part).collect();
        for record in &some {
            let topic = format!("{PREFIX}.{}", record.topic());
            let mut copy = BaseRecord::<[u8], [u8]>::to(&topic)
                .partition(record.partition())
                .timestamp(record.timestamp().to_millis().unwrap());
            copy.key = record.key();
            copy.payload = record.payload();
            copy.headers = record.headers().cloned();
            self.producer.send(copy).map_err(|(error, _)| error).unwrap();
            *self.written.entry(record.topic().to_owned()).or_default() += 1;
        }
        self.producer.flush(PATIENCE).unwrap();
        !some.is_empty()
    }

    /// How many records the copy of a topic has.
    pub(super) fn written(&self, topic: &str) -> i64 {
        self.written.get(topic).copied().unwrap_or(0)
    }
}

/// The records of each topic in the order of the store, spread evenly, with every tenth again later.
fn repeat(topics: Vec<Vec<OwnedMessage>>, random: &mut Rng) -> Vec<OwnedMessage> {
    let all: usize = topics.iter().map(Vec::len).sum();
    let mut placed = Vec::new();
    for mut records in topics {
        records.sort_by_key(|record| header(record, "ce_position").unwrap().parse::<u64>().unwrap());
        let number = records.len();
        placed.extend(records.into_iter().enumerate().map(|(index, record)| (index * all / number, record)));
    }
    let copies: Vec<_> = placed
        .iter()
        .step_by(EVERY)
        .map(|(place, record)| (place + random.usize(1..DISTANCE), record.clone()))
        .collect();
    placed.extend(copies);
    // Stable: a copy at the place of another record comes after it.
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, record)| record).collect()
}
