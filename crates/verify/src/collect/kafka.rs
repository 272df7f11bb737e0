//! Committed records of the topics, partition by partition.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode;

use crate::lockstep::Record;

/// How long the brokers may be silent before the check gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one poll of a partition waits.
const POLL: Duration = Duration::from_millis(50);

/// A topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client's own error.
    #[error("kafka: topic {topic} cannot be read; are the brokers reachable?")]
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
    /// Nothing came, not even the end of the partition.
    #[error("kafka: {topic}[{partition}]: no record came for {} s before its end", PATIENCE.as_secs())]
    Silent {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
}

/// Reads topics under read_committed. It belongs to no group and commits nothing. All calls block.
pub(crate) struct Consumer {
    inner: Arc<BaseConsumer>,
    topics: Vec<Topic>,
    /// How long to wait behind the end for records that are still to come, in all and without any.
    patience: Duration,
    waited: Duration,
}

struct Topic {
    name: String,
    partitions: Vec<Partition>,
}

/// A partition with a queue of its own, so that the client stops fetching what is not taken.
struct Partition {
    queue: PartitionQueue<DefaultConsumerContext>,
    /// The offset behind the last record when the check began.
    end: i64,
    /// What was written before this offset was there before the exceptions were read.
    covered: i64,
    next: i64,
    /// The client has met the end of what is committed.
    at_end: bool,
}

impl Consumer {
    /// Connects and fixes the ends of the partitions.
    pub(crate) fn connect<'a>(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        topics: impl IntoIterator<Item = &'a String>,
        patience: Duration,
    ) -> Result<Self, KafkaError> {
        let topics: Vec<&String> = topics.into_iter().collect();
        let first = topics.first().map_or_else(String::new, |topic| (*topic).clone());
        let config = config(brokers, properties);
        let inner: BaseConsumer = config
            .create()
            .map_err(|error| KafkaError::Client { topic: first.clone(), source: without_value(error) })?;
        let mut consumer =
            Self { inner: Arc::new(inner), topics: Vec::new(), patience, waited: Duration::ZERO };
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let failed = |source| KafkaError::Client { topic: topic.clone(), source };
            let count = consumer.partition_count(topic)?;
            for partition in 0..count {
                assignment.add_partition_offset(topic, partition, Offset::Beginning).map_err(failed)?;
            }
            let partitions = (0..count).map(|partition| consumer.partition(topic, partition));
            let partitions = partitions.collect::<Result<_, _>>()?;
            consumer.topics.push(Topic { name: topic.clone(), partitions });
        }
        // Only now: what comes before a partition has a queue of its own comes in the main queue.
        consumer.inner.assign(&assignment).map_err(|source| KafkaError::Client { topic: first, source })?;
        Ok(consumer)
    }

    /// Those of the topics that are there.
    pub(crate) fn existing(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        topics: impl IntoIterator<Item = String>,
    ) -> Result<Vec<String>, KafkaError> {
        let failed = |source| KafkaError::Client { topic: "*".to_owned(), source };
        let client: BaseConsumer =
            config(brokers, properties).create().map_err(|error| failed(without_value(error)))?;
        let metadata = client.fetch_metadata(None, PATIENCE).map_err(failed)?;
        let is_there = |name: &String| metadata.topics().iter().any(|topic| topic.name() == name);
        Ok(topics.into_iter().filter(is_there).collect())
    }

    /// The next record of any partition of a topic, up to their ends.
    pub(crate) fn next_of_any(&mut self, topic: usize) -> Result<Option<Record>, KafkaError> {
        let partitions = self.topics.get(topic).map_or(0, |topic| topic.partitions.len());
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            if let Some(record) = self.next(topic, partition, false)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Takes note of the ends before the exceptions are read again.
    pub(crate) fn cover(&mut self) -> Result<(), KafkaError> {
        for ((topic, partition), end) in self.ends()? {
            if let Some(partition) = self.partition_mut(topic, partition) {
                partition.covered = end;
            }
        }
        Ok(())
    }

    /// Whether a record may have been written after the exceptions were read.
    pub(crate) fn is_recent(&self, topic: usize, partition: i32, offset: i64) -> bool {
        let partition =
            usize::try_from(partition).ok().and_then(|it| self.topics.get(topic)?.partitions.get(it));
        partition.is_some_and(|partition| offset >= partition.covered)
    }

    fn partition_mut(&mut self, topic: usize, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// Moves the ends to where they are now.
    pub(crate) fn advance(&mut self) -> Result<(), KafkaError> {
        for ((topic, partition), end) in self.ends()? {
            let Topic { name, partitions } = &mut self.topics[topic];
            let found = usize::try_from(partition).ok().and_then(|index| partitions.get_mut(index));
            let Some(queue) = found.filter(|queue| queue.end < end) else { continue };
            // Drops what the queue says of the old end: it would be taken for the new one.
            seek(&self.inner, name, partition, queue.next)?;
            queue.end = end;
            queue.at_end = false;
        }
        Ok(())
    }

    fn partition_count(&self, topic: &str) -> Result<i32, KafkaError> {
        let failed = |source| KafkaError::Client { topic: topic.to_owned(), source };
        let metadata = self.inner.fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        match found.map_or(0, |found| found.partitions().len()) {
            0 => Err(KafkaError::NoTopic(topic.to_owned())),
            count => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }

    fn partition(&self, topic: &str, partition: i32) -> Result<Partition, KafkaError> {
        let failed = |source| KafkaError::Client { topic: topic.to_owned(), source };
        let (_, end) = self.inner.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
        let queue = self.inner.split_partition_queue(topic, partition);
        let queue = queue.ok_or_else(|| KafkaError::NoTopic(topic.to_owned()))?;
        Ok(Partition { queue, end, covered: end, next: 0, at_end: false })
    }

    /// How many partitions each topic has, in the order given.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.topics.iter().map(|topic| i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
    }

    /// The next record of a partition; none at the end that was fixed, or with `wait` where no record came behind
    /// it within the patience.
    pub(crate) fn next(
        &mut self,
        topic: usize,
        partition: i32,
        wait: bool,
    ) -> Result<Option<Record>, KafkaError> {
        let Topic { name, partitions } = &mut self.topics[topic];
        let Some(queue) = usize::try_from(partition).ok().and_then(|index| partitions.get_mut(index)) else {
            return Ok(None);
        };
        let failed = |source| KafkaError::Client { topic: name.clone(), source };
        let begun = Instant::now();
        loop {
            let is_behind_end = queue.at_end || queue.next >= queue.end;
            if is_behind_end && !(wait && self.waited < self.patience) {
                return Ok(None);
            }
            match queue.queue.poll(POLL) {
                Some(Ok(message)) => {
                    let record = record(&message);
                    queue.next = record.offset + 1;
                    queue.at_end = false;
                    // Only what came while waiting is progress: else each gap of a long history would wait.
                    if is_behind_end {
                        self.waited = Duration::ZERO;
                    }
                    return Ok(Some(record));
                }
                Some(Err(ClientError::PartitionEOF(_))) => queue.at_end = true,
                Some(Err(error)) if is_final(&error) => return Err(failed(error)),
                Some(Err(_)) | None if is_behind_end => self.waited += POLL,
                Some(Err(_)) | None => {}
            }
            // Errors that concern no partition come in the main queue.
            if let Some(Err(error)) = self.inner.poll(Duration::ZERO)
                && is_final(&error)
            {
                return Err(failed(error));
            }
            if !is_behind_end && begun.elapsed() > PATIENCE {
                return Err(KafkaError::Silent { topic: name.clone(), partition });
            }
        }
    }

    /// By topic and partition, the offset that the next record gets now.
    pub(crate) fn ends(&self) -> Result<BTreeMap<(usize, i32), i64>, KafkaError> {
        let mut ends = BTreeMap::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let failed = |source| KafkaError::Client { topic: topic.name.clone(), source };
            for (partition, _) in (0..).zip(&topic.partitions) {
                let watermarks = self.inner.fetch_watermarks(&topic.name, partition, PATIENCE);
                ends.insert((index, partition), watermarks.map_err(failed)?.1);
            }
        }
        Ok(ends)
    }
}

/// Fetches a partition again from an offset. The client refuses it while it has not begun to fetch.
fn seek(consumer: &BaseConsumer, topic: &str, partition: i32, offset: i64) -> Result<(), KafkaError> {
    let begun = Instant::now();
    loop {
        match consumer.seek(topic, partition, Offset::Offset(offset), PATIENCE) {
            Err(ClientError::Seek(_)) if begun.elapsed() < PATIENCE => {}
            sought => return sought.map_err(|source| KafkaError::Client { topic: topic.to_owned(), source }),
        }
        // Other partitions' events, and the pause before the next attempt.
        if let Some(Err(source)) = consumer.poll(POLL)
            && is_final(&source)
        {
            return Err(KafkaError::Client { topic: topic.to_owned(), source });
        }
    }
}

fn config(brokers: &str, properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("fetch.wait.max.ms", "10").set("queued.max.messages.kbytes", "1024");
    for (name, value) in properties {
        config.set(name, value);
    }
    // What makes it a check comes last: no property may change it. The group's name is never used, but without
    // one the client hands out nothing.
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "aqueduct-verify")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false");
    config
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

/// The client reconnects automatically; that does not cure these.
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

    use aqueduct_devstack::{DevStack, Options, Part};
    use rdkafka::Timestamp;
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::bindings::rd_kafka_header_add;
    use rdkafka::client::DefaultClientContext;
    use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders, OwnedMessage};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    use rdkafka::util::Timeout;

    use super::*;

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let properties = BTreeMap::from([("ssl.key.passwrod".to_owned(), "hunter2".to_owned())]);
        let error = Consumer::connect("127.0.0.1:9", &properties, [&"shop.orders".to_owned()], PATIENCE)
            .err()
            .unwrap();
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

    const TOPIC: &str = "shop.orders";

    async fn kafka() -> DevStack {
        let stack = DevStack::start(Options { kafka: Part::start(), ..Options::none() }).await.unwrap();
        let admin: AdminClient<DefaultClientContext> =
            config(stack.kafka_bootstrap().unwrap(), &BTreeMap::new()).create().unwrap();
        let topic = NewTopic::new(TOPIC, 2, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Timeout::After(PATIENCE)));
        for created in admin.create_topics([&topic], &options).await.unwrap() {
            created.unwrap();
        }
        stack
    }

    /// In a transaction, so that an end is behind a marker. The broker writes the marker after it has answered, so this
    /// waits until the end has moved behind it.
    fn produce(brokers: &str, partition: i32, value: &str) {
        let reader: BaseConsumer = config(brokers, &BTreeMap::new()).create().unwrap();
        let end = || reader.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap().1;
        let (before, deadline) = (end(), Instant::now() + PATIENCE);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("transactional.id", "verify");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<str, str>::to(TOPIC).partition(partition).payload(value)).unwrap();
        producer.commit_transaction(PATIENCE).unwrap();
        while end() < before + 2 {
            assert!(Instant::now() < deadline, "the marker of {value} is missing");
        }
    }

    /// An old end that was announced and not yet read must not hide what came behind it.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_comes_behind_an_old_end_is_read_once_the_ends_are_moved() {
        let stack = kafka().await;
        let brokers = stack.kafka_bootstrap().unwrap().to_owned();
        let read = tokio::task::spawn_blocking(move || {
            produce(&brokers, 1, "0");
            let mut consumer =
                Consumer::connect(&brokers, &BTreeMap::new(), [&TOPIC.to_owned()], PATIENCE).unwrap();
            // With the first record of partition 1 the end of partition 0 was announced.
            let mut read = vec![consumer.next(0, 1, false).unwrap(), consumer.next(0, 0, false).unwrap()];
            for value in ["1", "2"] {
                produce(&brokers, 0, value);
                consumer.advance().unwrap();
                read.extend([consumer.next(0, 0, false).unwrap(), consumer.next(0, 0, false).unwrap()]);
            }
            read
        });
        let values = read.await.unwrap().into_iter().map(|record| record.and_then(|record| record.value));
        let values: Vec<_> =
            values.map(|value| value.map(|value| String::from_utf8(value).unwrap())).collect();
        assert_eq!(
            values.iter().map(Option::as_deref).collect::<Vec<_>>(),
            [Some("0"), None, Some("1"), None, Some("2"), None]
        );
        stack.shutdown().await;
    }
}
