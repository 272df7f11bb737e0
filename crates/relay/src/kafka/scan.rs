//! Reading one partition in order.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aqueduct_kafka::{LogContext, create_client};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::error::LaneError;
use crate::kafka::config::REQUEST_TIMEOUT;
use crate::kafka::reader::Reader;

const POLL: Duration = Duration::from_millis(50);
/// How long records may stay invisible: the transaction of a killed relay is open for `transaction_timeout_ms`, by default
/// 30 s, and the broker looks for such transactions every 10 s.
const OPEN_TRANSACTION: Duration = Duration::from_secs(60);

/// Reads the committed records of a partition in their order, each once, from the first on. Memory: what
/// librdkafka fetches ahead, a few MiB.
pub(crate) struct Scan {
    consumer: BaseConsumer<LogContext>,
    /// How to make a reader for which the partition ends at the last record, also where that is in an open
    /// transaction, and that reader while it is needed.
    uncommitted: (ClientConfig, Option<Reader>),
    topic: String,
    partition: i32,
    /// The offset to read next; `None` at the beginning.
    next: Option<i64>,
}

impl Scan {
    pub(crate) fn new(config: &ClientConfig, topic: &str, partition: i32) -> Result<Self, LaneError> {
        let mut config = config.clone();
        config.set("queued.max.messages.kbytes", "4096").set("enable.partition.eof", "true");
        let consumer = create_client(&config, LogContext).map_err(LaneError::kafka("create a reader"))?;
        config.set("isolation.level", "read_uncommitted");
        Ok(Self { consumer, uncommitted: (config, None), topic: topic.to_owned(), partition, next: None })
    }

    /// Begins at an offset. One beyond the partition's end belongs to a topic that was created again since: then the
    /// scan begins with the first record.
    pub(crate) fn starting_at(self, offset: Option<i64>) -> Self {
        Self { next: offset, ..self }
    }

    /// Calls `take` with every record that was written before this call and was not read before, and with `None`
    /// whenever it has waited for a while. Waits for transactions that are being ended. Returns early, with
    /// `false`, when `take` breaks.
    pub(crate) fn read_to_end(
        &mut self,
        mut take: impl FnMut(Option<OwnedMessage>) -> ControlFlow<()>,
    ) -> Result<bool, LaneError> {
        // A broker answers a commit before the records are visible to this consumer.
        let (config, reader) = &mut self.uncommitted;
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(Reader::new(config)?),
        };
        let (_, end) = reader.watermarks(&self.topic, self.partition)?;
        self.next = self.next.filter(|next| *next <= end);
        let deadline = Instant::now() + OPEN_TRANSACTION;
        loop {
            let (_, visible) = self
                .consumer
                .fetch_watermarks(&self.topic, self.partition, REQUEST_TIMEOUT)
                .map_err(LaneError::kafka("fetch a partition's end"))?;
            if visible >= end {
                break;
            }
            if Instant::now() > deadline {
                return Err(self.stalled(None));
            }
            if take(None).is_break() {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
        let mut deadline = Instant::now() + REQUEST_TIMEOUT;
        // Only a new assignment makes librdkafka tell of an end that it has told before.
        self.assign()?;
        let mut problem = None;
        loop {
            let record = match self.consumer.poll(POLL) {
                Some(Ok(record)) => Some(record.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(true),
                // librdkafka retries on its own; if that does not help, this is the reason to report.
                Some(Err(error)) => {
                    problem = Some(error);
                    None
                }
                None => None,
            };
            match &record {
                Some(record) => self.next = Some(record.offset() + 1),
                None if Instant::now() > deadline => return Err(self.stalled(problem)),
                None => {}
            }
            let is_record = record.is_some();
            // What is written meanwhile belongs to the next call: this one must end.
            let is_last = record.as_ref().is_some_and(|it| it.offset() + 1 >= end);
            if take(record).is_break() {
                return Ok(false);
            }
            if is_last {
                return Ok(true);
            }
            if is_record {
                deadline = Instant::now() + REQUEST_TIMEOUT;
            }
        }
    }

    /// The next record, if one comes in time. To be called after [`read_to_end`](Self::read_to_end). Whatever goes wrong,
    /// librdkafka tries again.
    pub(crate) fn poll(&mut self, timeout: Duration) -> Option<OwnedMessage> {
        self.uncommitted.1 = None;
        let record = self.consumer.poll(timeout)?.ok()?.detach();
        self.next = Some(record.offset() + 1);
        Some(record)
    }

    fn assign(&self) -> Result<(), LaneError> {
        let offset = self.next.map_or(Offset::Beginning, Offset::Offset);
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, self.partition, offset)
            .map_err(LaneError::kafka("set the start offset"))?;
        self.consumer.assign(&assignment).map_err(LaneError::kafka("assign a partition"))
    }

    fn stalled(&self, problem: Option<KafkaError>) -> LaneError {
        let timed_out = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        LaneError::Kafka { doing: "read a partition to its end", source: problem.unwrap_or(timed_out) }
    }
}
