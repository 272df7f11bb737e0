//! What a topic contains.

use std::time::{Duration, Instant};

use aqueduct_relay::partition_of;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::support::PATIENCE;

/// How many partitions the topic has.
pub(crate) fn partitions(brokers: &str, topic: &str) -> i32 {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics()[0].partitions().len().try_into().unwrap()
}

/// The offset after the last record of a stream's partition, committed or not.
pub(crate) fn end_of(brokers: &str, topic: &str, stream: &str) -> i64 {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let partition = partition_of(stream, partitions(brokers, topic).try_into().unwrap());
    client.fetch_watermarks(topic, partition.try_into().unwrap(), PATIENCE).unwrap().1
}

/// Every committed record, in the order of its partition.
pub(crate) fn committed_records(brokers: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "tests")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    let partitions = partitions(brokers, topic);
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let (mut records, mut ends, deadline) = (Vec::new(), 0, Instant::now() + PATIENCE);
    while ends < partitions {
        assert!(Instant::now() < deadline, "{topic}: {} records within {PATIENCE:?}", records.len());
        match consumer.poll(Duration::from_secs(1)) {
            // Also where an event that is not a record was served.
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(record)) => records.push(record.detach()),
        }
    }
    records
}

/// A header of a record, as text.
pub(crate) fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let header = record.headers()?.iter().find(|header| header.key == name)?;
    Some(String::from_utf8(header.value?.to_vec()).unwrap())
}
