//! A read_committed reader of a topic.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::measured::Moment;

/// How long nothing may come before the reader gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was to come into a topic did not.
#[derive(Debug, thiserror::Error)]
#[error("topic {topic}: after {seen} records none came for {PATIENCE:?}; see the warnings above")]
pub(super) struct Stalled {
    topic: String,
    seen: usize,
    source: Option<KafkaError>,
}

/// A reader of all partitions of a topic from their beginning. Its calls block.
pub(super) struct Observer {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    partitions: usize,
}

impl Observer {
    pub(super) fn new(brokers: &str, topic: &str, partitions: u32) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("group.id", "aqueduct.bench")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set_log_level(RDKafkaLogLevel::Error);
        let consumer = BaseConsumer::from_config_and_context(&config, Quiet)?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions.cast_signed() {
            all.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&all)?;
        Ok(Self { consumer, topic: topic.to_owned(), partitions: partitions as usize })
    }

    /// Waits until it stands at the end of every partition of a topic that is still empty: the first record
    /// does not wait for connections then.
    pub(super) fn stand_by(&self) -> Result<(), Stalled> {
        let mut at_end = vec![false; self.partitions];
        let deadline = Instant::now() + PATIENCE;
        while at_end.contains(&false) {
            let last = match self.consumer.poll(Duration::from_millis(100)) {
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(at_end) = at_end.get_mut(partition.cast_unsigned() as usize) {
                        *at_end = true;
                    }
                    None
                }
                Some(Err(error)) => Some(error),
                Some(Ok(_)) | None => None,
            };
            if Instant::now() > deadline {
                return Err(Stalled { topic: self.topic.clone(), seen: 0, source: last });
            }
        }
        Ok(())
    }

    /// Passes records to `enough` until it returns `true`; returns that moment.
    pub(super) fn read(
        &self,
        mut enough: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<Moment, Stalled> {
        let mut seen = 0;
        let mut problem = None;
        let mut deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    seen += 1;
                    deadline = Instant::now() + PATIENCE;
                    if enough(&record) {
                        return Ok(Moment::now());
                    }
                }
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                // The client recovers automatically, or the deadline passes.
                Some(Err(error)) => problem = Some(error),
            }
        }
        Err(Stalled { topic: self.topic.clone(), seen, source: problem })
    }

    /// Reads so many records; returns when the last was there.
    pub(super) fn count(&self, records: usize) -> Result<Moment, Stalled> {
        let mut seen = 0;
        self.read(|_| {
            seen += 1;
            seen == records
        })
    }
}

/// Takes the end of a partition, which librdkafka reports as an error, for what it is here.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}
