//! Faults that are planted in a topic that `verify` found right: each must be found.

use std::collections::HashSet;
use std::fs;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::util::Timeout;
use serde_json::{Value, json};

use crate::own_store::OwnStore;
use crate::support::PATIENCE;
use crate::topic::{committed_records, header, partitions};

/// A record as it is written again.
#[derive(Clone)]
struct Copy {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Copy {
    fn of(record: &OwnedMessage) -> Self {
        let headers = record.headers().unwrap().iter();
        Self {
            partition: record.partition(),
            key: record.key().unwrap().to_vec(),
            value: record.payload().unwrap().to_vec(),
            headers: headers.map(|it| (it.key.to_owned(), it.value.unwrap().to_vec())).collect(),
        }
    }

    /// The place of a digit of a text or number in the data, as Avro has it.
    fn digit(&self) -> Option<usize> {
        let is_text = |byte: &u8| byte.is_ascii_alphanumeric();
        let place = self
            .value
            .windows(3)
            .skip(5)
            .position(|bytes| bytes.iter().all(is_text) && bytes[1].is_ascii_digit());
        place.map(|place| place + 6)
    }
}

fn producer(own: &OwnStore) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", own.brokers()).create().unwrap()
}

fn write(producer: &BaseProducer, topic: &str, record: &Copy) {
    let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(rdkafka::message::Header { key, value: Some(value) })
    });
    let written = BaseRecord::to(topic).partition(record.partition).key(&record.key).payload(&record.value);
    producer.send(written.headers(headers)).unwrap();
}

async fn create(own: &OwnStore, topic: &str, partitions: i32) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", own.brokers()).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Timeout::After(PATIENCE)));
    for created in admin.create_topics([&new], &options).await.unwrap() {
        created.unwrap();
    }
}

/// Forges an exception of an event that has a record.
fn forge_exception(own: &OwnStore, route: &str, record: &OwnedMessage) -> String {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", own.brokers()).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let ending = format!(".exceptions.{route}");
    let topic =
        metadata.topics().iter().map(|topic| topic.name()).find(|name| name.ends_with(&ending)).unwrap();
    let stream = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
    let event = format!("{}@{stream}", header(record, "ce_revision").unwrap());
    let position: u64 = header(record, "ce_position").unwrap().parse().unwrap();
    let value = json!({
        "version": 1, "state": "skipped", "code": "payload", "reason": "forged",
        "position": {"commit": position, "prepare": position}, "last": null,
    });
    let producer = producer(own);
    producer.send(BaseRecord::to(topic).partition(0).key(&event).payload(&value.to_string())).unwrap();
    producer.flush(PATIENCE).unwrap();
    event
}

/// What a copy is, as a finding names it: `3@order-7`.
fn reference(record: &Copy) -> String {
    let revision =
        record.headers.iter().find(|(name, _)| name == "ce_revision").map(|(_, value)| value.clone());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    format!("{}@{}", text(revision.unwrap()), text(record.key.clone()))
}

/// Plants the faults, each in a stream of its own. Returns the kind and the text of the finding that each must make.
fn plant(copies: &mut Vec<Copy>) -> Vec<(&'static str, String)> {
    let mut used: HashSet<Vec<u8>> = HashSet::new();
    let mut pick = |copies: &[Copy], fits: &dyn Fn(usize) -> bool| {
        let found =
            (0..copies.len()).find(|place| fits(*place) && !used.contains(&copies[*place].key)).unwrap();
        used.insert(copies[found].key.clone());
        found
    };
    let changed = pick(copies, &|place| copies[place].digit().is_some());
    let follows = |place: usize| {
        copies
            .get(place + 1)
            .is_some_and(|next| (&next.key, next.partition) == (&copies[place].key, copies[place].partition))
    };
    let swapped = pick(copies, &follows);
    let [cut, repeated] = [(); 2].map(|()| pick(copies, &|_| true));

    let digit = copies[changed].digit().unwrap();
    copies[changed].value[digit] = if copies[changed].value[digit] == b'7' { b'8' } else { b'7' };
    copies.swap(swapped, swapped + 1);
    copies[cut].headers.retain(|(name, _)| name != "ce_time");
    let mut extra = copies[repeated].clone();
    copies.push(extra.clone());
    for (name, value) in &mut extra.headers {
        if name == "ce_revision" {
            *value = b"999999".to_vec();
        }
    }
    copies.push(extra);
    let of = |place: usize| reference(&copies[place]);
    vec![
        ("mismatch", format!("{}: payload.", of(changed))),
        ("out_of_order", format!("{} comes after {}", of(swapped + 1), of(swapped))),
        ("mismatch", format!("{}: header ce_time is none", of(cut))),
        ("duplicate", format!("{} was there before", of(repeated))),
        ("mismatch", format!("{} is not an event of this topic", of(copies.len() - 1))),
    ]
}

/// Copies the topic with faults, forges an exception, and lets `verify` check the copy in the topic's place.
pub(crate) async fn every_fault_is_found(own: &OwnStore, route: &str, topic: &str) {
    let records = committed_records(own.brokers(), topic);
    let mut copies: Vec<Copy> = records.iter().map(Copy::of).collect();
    let mut expected = plant(&mut copies);
    let copy = format!("{topic}.copy");
    create(own, &copy, partitions(own.brokers(), topic)).await;
    let producer = producer(own);
    copies.iter().for_each(|record| write(&producer, &copy, record));
    producer.flush(PATIENCE).unwrap();
    let excepted = forge_exception(own, route, records.last().unwrap());
    expected.push(("mismatch", "is skipped as payload, but ".to_owned()));

    let configuration = fs::read_to_string(own.path("aqueduct.toml")).unwrap();
    let of_copy = configuration.replace(&format!("\"{topic}\""), &format!("\"{copy}\""));
    fs::write(own.path("copy.toml"), of_copy).unwrap();
    let output = own.run(&["verify", "--json", "--config", "copy.toml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let on_route = |finding: &&Value| finding["place"].as_str().unwrap().starts_with(&copy);
    let findings: Vec<&Value> = report["findings"].as_array().unwrap().iter().filter(on_route).collect();
    for (kind, text) in &expected {
        let matches = |finding: &&&Value| {
            finding["kind"] == *kind && finding["text"].as_str().unwrap().starts_with(text)
        };
        assert_eq!(findings.iter().filter(matches).count(), 1, "{kind}: {text}\n{report:#}");
    }
    assert_eq!(findings.len(), expected.len(), "{report:#}");
    assert!(
        findings.iter().any(|finding| finding["place"].as_str().unwrap().ends_with(&excepted)),
        "{report:#}"
    );
}
