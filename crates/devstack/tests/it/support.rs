//! Real clients of the parts.

use std::time::Duration;

use eventstore::{AppendToStreamOptions, Client, EventData, ReadStreamOptions};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{Message, Offset, TopicPartitionList};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn create_topic(bootstrap: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create().unwrap();
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Timeout::After(PATIENCE)));
    for result in admin.create_topics([&new], &options).await.unwrap() {
        result.unwrap();
    }
}

/// Produces one record in a transaction.
pub(crate) fn produce(bootstrap: &str, topic: &str, payload: &str) {
    let producer: BaseProducer =
        client(bootstrap).set("transactional.id", topic).set("linger.ms", "0").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<str, str>::to(topic).partition(0).payload(payload)).unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
}

/// The first `count` committed records.
pub(crate) fn consume(bootstrap: &str, topic: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer =
        client(bootstrap).set("group.id", "suite").set("isolation.level", "read_committed").create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let records = (0..count).map(|_| {
        let record = consumer.poll(PATIENCE).expect("no record in time").unwrap();
        String::from_utf8(record.payload().unwrap().to_vec()).unwrap()
    });
    records.collect()
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

pub(crate) async fn execute(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
}

/// The one value that the query gives, as text.
pub(crate) async fn query(url: &str, query: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(query).fetch_one(&mut connection).await.unwrap().get(0)
}

pub(crate) async fn register(registry: &str, subject: &str, schema: &str) -> u64 {
    let answer = reqwest::Client::new()
        .post(format!("{registry}/subjects/{subject}/versions"))
        .json(&serde_json::json!({ "schema": schema }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.json::<serde_json::Value>().await.unwrap()["id"].as_u64().unwrap()
}

/// Appends an event with this payload to the one stream.
pub(crate) async fn append(store: &str, payload: &str) {
    let client = Client::new(store.parse().unwrap()).unwrap();
    let event = EventData::binary("happened", payload.to_owned().into());
    client.append_to_stream("stream", &AppendToStreamOptions::default(), event).await.unwrap();
}

/// The payloads of the stream.
pub(crate) async fn read(store: &str) -> Vec<String> {
    let client = Client::new(store.parse().unwrap()).unwrap();
    let mut events = client.read_stream("stream", &ReadStreamOptions::default()).await.unwrap();
    let mut payloads = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        payloads.push(String::from_utf8(event.get_original_event().data.to_vec()).unwrap());
    }
    payloads
}
