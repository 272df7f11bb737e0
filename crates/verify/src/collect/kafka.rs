//! Committed records of a topic, from the first to the last.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc;

use crate::topics::Record;

/// How long the brokers may be silent before the check gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records handed over at once.
const BATCH: usize = 1_000;

/// A topic can't be read.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client's own complaint.
    #[error("kafka: topic {topic} can't be read; are the brokers reachable?")]
    Client {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// There is no such topic.
    #[error("kafka: there is no topic {0}; has the relay of its route ever run?")]
    NoTopic(String),
    /// Nothing came, not even the end of a partition.
    #[error("kafka: topic {topic}: nothing came for {} s and {open} partitions were not at their end", PATIENCE.as_secs())]
    Silent {
        /// The topic.
        topic: String,
        /// How many partitions had not been read to their end.
        open: usize,
    },
}

/// Reads one topic under read_committed. It belongs to no group and commits nothing.
pub(crate) struct Consumer {
    topic: String,
    partitions: i32,
    inner: BaseConsumer,
}

impl Consumer {
    /// Connects and asks how many partitions the topic has. Blocks.
    pub(crate) fn connect(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        topic: &str,
    ) -> Result<Self, KafkaError> {
        let failed = |source| KafkaError::Client { topic: topic.to_owned(), source };
        let mut config = ClientConfig::new();
        config.set("fetch.wait.max.ms", "10");
        for (name, value) in properties {
            config.set(name, value);
        }
        // What makes it a check comes last: no property may change it. The group's name is never used, but
        // without one the client hands out nothing.
        config
            .set("bootstrap.servers", brokers)
            .set("group.id", "aqueduct-verify")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false");
        let inner: BaseConsumer = config.create().map_err(without_value).map_err(failed)?;
        let metadata = inner.fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        let partitions = found.map_or(0, |found| found.partitions().len());
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        if partitions == 0 {
            return Err(KafkaError::NoTopic(topic.to_owned()));
        }
        Ok(Self { topic: topic.to_owned(), partitions, inner })
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Sends every record, in the order of offsets within a partition, until each partition was at its end.
    /// Returns by partition the offset that its next record gets. Blocks: call it on a thread of its own.
    pub(crate) fn read(self, records: &mpsc::Sender<Vec<Record>>) -> Result<Vec<i64>, KafkaError> {
        let failed = |source| KafkaError::Client { topic: self.topic.clone(), source };
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions {
            assignment.add_partition_offset(&self.topic, partition, Offset::Beginning).map_err(failed)?;
        }
        self.inner.assign(&assignment).map_err(failed)?;
        let mut open: HashSet<i32> = (0..self.partitions).collect();
        let mut batch = Vec::with_capacity(BATCH);
        let mut heard = Instant::now();
        while !open.is_empty() {
            match self.inner.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    batch.push(record(&message));
                    heard = Instant::now();
                }
                // Transaction markers take offsets: the end is where the client says so, not at the last
                // record's offset.
                Some(Err(ClientError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                    heard = Instant::now();
                }
                Some(Err(error)) if is_final(&error) => return Err(failed(error)),
                Some(Err(_)) | None => {}
            }
            if batch.len() >= BATCH || open.is_empty() {
                // A receiver that has gone has failed by itself and says why.
                if records.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return Ok(Vec::new());
                }
            }
            if heard.elapsed() > PATIENCE {
                return Err(KafkaError::Silent { topic: self.topic.clone(), open: open.len() });
            }
        }
        let end = |partition| self.inner.fetch_watermarks(&self.topic, partition, PATIENCE);
        (0..self.partitions).map(|partition| end(partition).map(|(_, high)| high).map_err(failed)).collect()
    }
}

/// A property that the client refuses is named without its value, which may be a password.
fn without_value(error: ClientError) -> ClientError {
    match error {
        // librdkafka's own text shows values only of properties that have a list of them.
        ClientError::ClientConfig(result, text, property, _) => {
            ClientError::ClientConfig(result, text, property, "(its value is not shown)".to_owned())
        }
        other => other,
    }
}

/// The client reconnects by itself; it does not cure these.
fn is_final(error: &ClientError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::Fatal
        )
    )
}

fn record(message: &impl Message) -> Record {
    let mut headers = Vec::new();
    let mut unnamed_headers = 0;
    if let Some(found) = message.headers() {
        for index in 0..found.count() {
            // The client panics at a name that is not UTF-8.
            match catch_unwind(AssertUnwindSafe(|| found.get(index))) {
                Ok(header) => {
                    headers.push((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                }
                Err(_) => unnamed_headers += 1,
            }
        }
    }
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        headers,
        unnamed_headers,
        value: message.payload().map(<[u8]>::to_vec),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::ptr;

    use rdkafka::Timestamp;
    use rdkafka::bindings::rd_kafka_header_add;
    use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders, OwnedMessage};

    use super::*;

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let properties = BTreeMap::from([("ssl.key.passwrod".to_owned(), "hunter2".to_owned())]);
        let error = Consumer::connect("127.0.0.1:9", &properties, "shop.orders").err().unwrap();
        let text = error.source().unwrap().to_string();
        assert!(text.contains("ssl.key.passwrod") && !text.contains("hunter2"), "{text}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_header_whose_name_is_no_text_is_counted_and_the_others_are_read() {
        let headers = OwnedHeaders::new();
        let native: *const BorrowedHeaders = headers.as_borrowed();
        // SAFETY: this is librdkafka's own pointer, and it copies the name.
        unsafe { rd_kafka_header_add(native.cast_mut().cast(), c"caf\xe9".as_ptr(), -1, ptr::null(), 0) };
        let headers = headers.insert(Header { key: "ce_revision", value: Some("7") });
        let (topic, time) = ("shop.orders".to_owned(), Timestamp::NotAvailable);
        let record = record(&OwnedMessage::new(None, None, topic, time, 3, 42, Some(headers)));
        assert_eq!(record.unnamed_headers, 1);
        assert_eq!(record.headers, [("ce_revision".to_owned(), b"7".to_vec())]);
    }
}
