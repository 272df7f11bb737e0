//! Reading one partition in order.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{ClientConfig, Offset};

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::reader::{Found, READING, Reader};
use crate::kafka::topic_readers::TopicReaders;

/// Interval at which the visible end is read.
const PAUSE: Duration = Duration::from_millis(50);
/// How long records stay invisible at most after the timeout of the transaction that wrote them: the broker looks for
/// transactions that nobody ended every 10 s.
const AFTER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a scan waits for open transactions, unless its caller knows their timeout: the default is 30 s.
const OPEN_TRANSACTION: Duration = Duration::from_secs(60);

/// Reads the committed records of a partition in their order, each once, from the first on. Memory: what
/// librdkafka fetches ahead, a few MiB.
pub(crate) struct Scan {
    reader: Arc<Reader>,
    /// The configuration of a reader for which the partition ends at the last record, also where that is in an open
    /// transaction, and that reader while it is needed.
    uncommitted: (ClientConfig, Option<Arc<Reader>>),
    topic: String,
    partition: i32,
    /// The offset to read next; `None` at the beginning.
    next: Option<i64>,
    /// How long a read waits for open transactions.
    patience: Duration,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum ReadEnd {
    /// All records were read.
    Complete,
    /// The caller stopped it.
    Stopped,
}

impl Scan {
    pub(crate) fn new(config: &ClientConfig, topic: &str, partition: i32) -> Result<Self, LaneError> {
        let reader = Arc::new(Reader::new(config)?);
        Ok(Self::of(reader, (config::uncommitted(config), None), topic, partition))
    }

    /// A scan with clients that exist.
    pub(crate) fn with(readers: &TopicReaders, topic: &str, partition: i32) -> Self {
        let TopicReaders { config, committed, uncommitted } = readers;
        let uncommitted = (config::uncommitted(config), Some(Arc::clone(uncommitted)));
        Self::of(Arc::clone(committed), uncommitted, topic, partition)
    }

    fn of(
        reader: Arc<Reader>,
        uncommitted: (ClientConfig, Option<Arc<Reader>>),
        topic: &str,
        partition: i32,
    ) -> Self {
        let topic = topic.to_owned();
        Self { reader, uncommitted, topic, partition, next: None, patience: OPEN_TRANSACTION }
    }

    /// Begins at an offset. One beyond the partition's end belongs to a topic that was created again since, and records
    /// before the partition's start were deleted: in both cases the scan begins with the first record.
    pub(crate) fn starting_at(self, offset: Option<i64>) -> Self {
        Self { next: offset, ..self }
    }

    /// Waits for transactions of this timeout, which a killed relay may have left open.
    pub(crate) fn with_transaction_timeout(self, timeout: Duration) -> Self {
        Self { patience: timeout + AFTER_TIMEOUT, ..self }
    }

    /// Calls `take` with every record that was written before this call and was not read before. Waits for
    /// transactions that are being ended. Calls `keep_waiting` about every 50 ms while no record arrives. Either stops
    /// the read with `Break`.
    pub(crate) fn read_to_end(
        &mut self,
        take: impl FnMut(OwnedMessage) -> ControlFlow<()>,
        mut keep_waiting: impl FnMut() -> ControlFlow<()>,
    ) -> Result<ReadEnd, LaneError> {
        let (start, end) = self.written()?;
        self.next = self.next.filter(|next| (start..=end).contains(next));
        match self.wait_until_visible(end, &mut keep_waiting)? {
            ReadEnd::Complete => self.read_until(start, end, take, keep_waiting),
            ReadEnd::Stopped => Ok(ReadEnd::Stopped),
        }
    }

    /// Start and end of the partition, open transactions included: a broker answers a commit before the records are
    /// visible to this consumer.
    fn written(&mut self) -> Result<(i64, i64), LaneError> {
        let (config, reader) = &mut self.uncommitted;
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(Arc::new(Reader::new(config)?)),
        };
        reader.watermarks(&self.topic, self.partition)
    }

    fn wait_until_visible(
        &self,
        end: i64,
        keep_waiting: &mut impl FnMut() -> ControlFlow<()>,
    ) -> Result<ReadEnd, LaneError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let (_, visible) = self.reader.watermarks(&self.topic, self.partition)?;
            if visible >= end {
                return Ok(ReadEnd::Complete);
            }
            if Instant::now() > deadline {
                let source = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return Err(LaneError::Kafka { doing: READING, source });
            }
            if keep_waiting().is_break() {
                return Ok(ReadEnd::Stopped);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn read_until(
        &mut self,
        first: i64,
        end: i64,
        mut take: impl FnMut(OwnedMessage) -> ControlFlow<()>,
        mut keep_waiting: impl FnMut() -> ControlFlow<()>,
    ) -> Result<ReadEnd, LaneError> {
        // Only a new assignment makes librdkafka tell of an end that it has told before.
        let start = self.next.map_or(Offset::Beginning, Offset::Offset);
        self.reader.assign(&self.topic, [(self.partition, start)])?;
        if self.next.unwrap_or(first) >= end {
            return Ok(ReadEnd::Complete);
        }
        let next = &mut self.next;
        self.reader.poll_until(|found| match found {
            Found::Record(record) => {
                let after = record.offset() + 1;
                *next = Some(after);
                if take(record).is_break() {
                    Some(ReadEnd::Stopped)
                } else {
                    // What is written meanwhile belongs to the next call: this one must end.
                    (after >= end).then_some(ReadEnd::Complete)
                }
            }
            Found::End(_) => Some(ReadEnd::Complete),
            Found::Nothing => keep_waiting().is_break().then_some(ReadEnd::Stopped),
        })
    }

    /// The next record, if one comes in time. To be called after [`read_to_end`](Self::read_to_end). Whatever goes wrong,
    /// librdkafka tries again.
    pub(crate) fn poll(&mut self, timeout: Duration) -> Option<OwnedMessage> {
        self.uncommitted.1 = None;
        let record = self.reader.poll(timeout)?;
        self.next = Some(record.offset() + 1);
        Some(record)
    }
}
