//! Reading the end of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aqueduct_kafka::{LogContext, create_client};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::error::LaneError;
use crate::kafka::config::REQUEST_TIMEOUT;

/// Offsets read back from the end at first. Each transaction leaves a marker behind its records, so the last
/// record is near; after many aborted ones, or records of other producers, it is further away.
const FIRST_WINDOW: i64 = 64;
const WINDOW_GROWTH: i64 = 16;
/// Offsets read in one step at most: each step has a timeout.
const LARGEST_WINDOW: i64 = 1 << 16;

/// Pause after which a read that has received nothing reports it.
const POLL: Duration = Duration::from_millis(50);

/// What a reader does, for errors.
pub(crate) const READING: &str = "read a partition to its end";

/// What a search backwards found in a partition.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// First offset of the partition; above 0 where retention has removed records.
    pub(crate) start: i64,
    /// The last record that was searched for.
    pub(crate) record: Option<OwnedMessage>,
    /// Other records behind it.
    pub(crate) others: u64,
}

/// A consumer that is told what to read and from where.
pub(crate) struct Reader {
    consumer: BaseConsumer<LogContext>,
}

impl Reader {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, LaneError> {
        let consumer = create_client(config, LogContext).map_err(LaneError::kafka("create a reader"))?;
        Ok(Self { consumer })
    }

    /// The first offset of a partition, and the one after the last that this reader may see.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), LaneError> {
        self.consumer
            .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
            .map_err(LaneError::kafka("fetch a partition's end"))
    }

    /// How many partitions a topic has, 0 if it does not exist.
    pub(crate) fn partitions(&self, topic: &str) -> Result<usize, LaneError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(LaneError::kafka("fetch a topic's metadata"))?;
        Ok(metadata.topics().iter().find(|it| it.name() == topic).map_or(0, |it| it.partitions().len()))
    }

    pub(crate) fn expect_partitions(&self, topic: &str, expected: u32) -> Result<(), LaneError> {
        match self.partitions(topic)? {
            0 => Err(LaneError::TopicMissing { topic: topic.to_owned() }),
            found if found == expected as usize => Ok(()),
            found => Err(LaneError::PartitionCount { topic: topic.to_owned(), found, expected }),
        }
    }

    /// The last committed record of each partition that `wanted` accepts. Reads back from the end in growing
    /// windows, each offset once, until it is found or the partition begins.
    pub(crate) fn last_records(
        &self,
        topic: &str,
        partitions: &[i32],
        mut wanted: impl FnMut(&OwnedMessage) -> bool,
    ) -> Result<BTreeMap<i32, Last>, LaneError> {
        let mut last = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for &partition in partitions {
            let (start, end) = self.watermarks(topic, partition)?;
            last.insert(partition, Last { start, ..Last::default() });
            ends.insert(partition, end);
        }
        let mut window = FIRST_WINDOW;
        loop {
            let open = |(partition, end): (&i32, &i64)| {
                let Last { start, record, .. } = &last[partition];
                (record.is_none() && start < end).then(|| (*partition, (end - window).max(*start)..*end))
            };
            let ranges: BTreeMap<_, _> = ends.iter().filter_map(open).collect();
            if ranges.is_empty() {
                return Ok(last);
            }
            let mut behind: BTreeMap<i32, u64> = BTreeMap::new();
            self.read(topic, &ranges, |record| {
                let partition = record.partition();
                if wanted(&record) {
                    behind.insert(partition, 0);
                    if let Some(last) = last.get_mut(&partition) {
                        last.record = Some(record);
                    }
                } else {
                    *behind.entry(partition).or_default() += 1;
                }
            })?;
            for (partition, range) in ranges {
                ends.insert(partition, range.start);
                if let Some(last) = last.get_mut(&partition) {
                    last.others += behind.get(&partition).copied().unwrap_or_default();
                }
            }
            window = (window * WINDOW_GROWTH).min(LARGEST_WINDOW);
        }
    }

    /// Reads the given offsets of each partition.
    fn read(
        &self,
        topic: &str,
        ranges: &BTreeMap<i32, std::ops::Range<i64>>,
        mut take: impl FnMut(OwnedMessage),
    ) -> Result<(), LaneError> {
        self.assign(
            topic,
            ranges.iter().map(|(partition, range)| (*partition, Offset::Offset(range.start))),
        )?;
        let mut unfinished: BTreeSet<i32> = ranges.keys().copied().collect();
        self.poll_until(|found| {
            match found {
                Found::Record(record) => {
                    let partition = record.partition();
                    let end = ranges.get(&partition).map_or(0, |range| range.end);
                    // The last offset may be a transaction marker's, which never comes.
                    if record.offset() >= end - 1 {
                        unfinished.remove(&partition);
                    }
                    if record.offset() < end {
                        take(record);
                    }
                }
                Found::End(partition) => {
                    unfinished.remove(&partition);
                }
                Found::Nothing => {}
            }
            unfinished.is_empty().then_some(())
        })?;
        self.unassign()
    }

    /// The first record of a partition from the given offset on, where there is one.
    pub(crate) fn first_record(
        &self,
        topic: &str,
        partition: i32,
        start: i64,
    ) -> Result<Option<OwnedMessage>, LaneError> {
        let mut first = None;
        let _stopped = self.read_from(topic, partition, start, |record| {
            first = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Passes all records of a partition from the given offset on to `take`, which may stop the read.
    pub(crate) fn read_from(
        &self,
        topic: &str,
        partition: i32,
        start: i64,
        mut take: impl FnMut(OwnedMessage) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, LaneError> {
        self.assign(topic, [(partition, Offset::Offset(start))])?;
        let read = self.poll_until(|found| match found {
            Found::Record(record) => take(record).is_break().then_some(ControlFlow::Break(())),
            Found::End(_) => Some(ControlFlow::Continue(())),
            Found::Nothing => None,
        })?;
        self.unassign()?;
        Ok(read)
    }

    /// Begins to read these partitions, each at its offset.
    pub(crate) fn assign(
        &self,
        topic: &str,
        starts: impl IntoIterator<Item = (i32, Offset)>,
    ) -> Result<(), LaneError> {
        let mut assignment = TopicPartitionList::new();
        for (partition, start) in starts {
            assignment
                .add_partition_offset(topic, partition, start)
                .map_err(LaneError::kafka("set the start offset"))?;
        }
        self.consumer.assign(&assignment).map_err(LaneError::kafka("assign a partition"))
    }

    /// Stops reading: no fetch at the end of a partition holds up the next request.
    pub(crate) fn unassign(&self) -> Result<(), LaneError> {
        self.consumer.unassign().map_err(LaneError::kafka("unassign a partition"))
    }

    /// Receives from the assigned partitions until it is enough. Fails if nothing arrives for [`REQUEST_TIMEOUT`].
    pub(crate) fn poll_until<T>(&self, mut enough: impl FnMut(Found) -> Option<T>) -> Result<T, LaneError> {
        let mut deadline = Instant::now() + REQUEST_TIMEOUT;
        let mut problem = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while Instant::now() < deadline {
            let found = match self.consumer.poll(POLL) {
                Some(Ok(record)) => Found::Record(record.detach()),
                Some(Err(KafkaError::PartitionEOF(partition))) => Found::End(partition),
                // librdkafka retries on its own; if that does not help, this is the reason to report.
                Some(Err(error)) => {
                    problem = error;
                    Found::Nothing
                }
                None => Found::Nothing,
            };
            let is_answer = !matches!(found, Found::Nothing);
            if let Some(result) = enough(found) {
                return Ok(result);
            }
            // Each answer extends it, and so does the time that it takes to deal with it: only a broker that sends nothing
            // more ends the read.
            if is_answer {
                deadline = Instant::now() + REQUEST_TIMEOUT;
            }
        }
        Err(LaneError::Kafka { doing: READING, source: problem })
    }

    /// The next record of the assigned partitions, if one comes in time.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<OwnedMessage> {
        Some(self.consumer.poll(timeout)?.ok()?.detach())
    }
}

/// What a reader receives.
pub(crate) enum Found {
    Record(OwnedMessage),
    /// The end of this partition.
    End(i32),
    /// Nothing for a while.
    Nothing,
}
