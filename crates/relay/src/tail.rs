//! The last records of partitions, as a read_committed reader sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aqueduct_core::Position;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};

use crate::checkpoint::{Checkpoint, CheckpointError, Ledger, Tail};
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT};
use crate::record::header;
use crate::{LaneError, Options};

/// Offsets read back from the end at first. Each transaction leaves a marker behind its records, so the last
/// record is near; after many aborted ones it is further away.
const FIRST_WINDOW: i64 = 64;

/// Reads where a lane has to go on and refuses a checkpoint that doesn't agree with its topic. To be called
/// after the lane's producer was opened: from then on nobody else can add to what is read here.
pub(crate) fn resume(options: &Options, ledger: &Ledger) -> Result<Option<Checkpoint>, LaneError> {
    let route = &ledger.route;
    let config = kafka::reader(options, route);
    let consumer = BaseConsumer::from_config_and_context(&config, LogContext)
        .map_err(LaneError::kafka("create a reader"))?;
    let reader = Reader { consumer, deadline: Instant::now() + REQUEST_TIMEOUT };

    let checkpoints = route.checkpoint_topic();
    reader.expect_partitions(&checkpoints, ledger.lanes)?;
    reader.expect_partitions(&route.topic, route.partitions.get())?;

    let lane = ledger.lane as i32;
    let mut last = reader.last_records(&checkpoints, &[lane])?;
    let checkpoint = last
        .remove(&lane)
        .and_then(|end| end.record)
        .map(|record| ledger.parse(record.payload().unwrap_or_default()))
        .transpose()?;

    let partitions: Vec<i32> = route.partitions_of(ledger.lane, options.lanes).collect();
    let ends = reader.last_records(&route.topic, &partitions)?;
    let tails = ends.iter().map(|(partition, end)| {
        let position = end.record.as_ref().map(|record| position_of(&route.topic, record)).transpose()?;
        Ok(Tail { partition: *partition, end: end.offset, position })
    });
    let tails: Vec<Tail> = tails.collect::<Result<_, CheckpointError>>()?;
    ledger.cross_check(checkpoint.as_ref(), &tails)?;
    Ok(checkpoint)
}

fn position_of(topic: &str, record: &OwnedMessage) -> Result<Position, CheckpointError> {
    let headers = record.headers();
    let value = headers.and_then(|it| it.iter().find(|header| header.key == header::POSITION)?.value);
    value.and_then(|value| str::from_utf8(value).ok()?.parse().ok()).ok_or_else(|| CheckpointError::Foreign {
        topic: topic.to_owned(),
        partition: record.partition(),
        offset: record.offset(),
    })
}

/// The end of a partition.
struct End {
    /// Offset after the last one.
    offset: i64,
    record: Option<OwnedMessage>,
}

struct Reader {
    consumer: BaseConsumer<LogContext>,
    deadline: Instant,
}

impl Reader {
    fn expect_partitions(&self, topic: &str, expected: u32) -> Result<(), LaneError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(LaneError::kafka("fetch a topic's metadata"))?;
        let found =
            metadata.topics().iter().find(|it| it.name() == topic).map_or(0, |it| it.partitions().len());
        if found == expected as usize {
            return Ok(());
        }
        Err(LaneError::Topic { topic: topic.to_owned(), found, expected })
    }

    /// The last committed record of each partition, with the offset at which the partition ended. Reads
    /// back from the end in growing windows, so the work does not grow with the topic.
    fn last_records(&self, topic: &str, partitions: &[i32]) -> Result<BTreeMap<i32, End>, LaneError> {
        let mut ends = BTreeMap::new();
        let mut low = BTreeMap::new();
        for &partition in partitions {
            let (start, offset) = self
                .consumer
                .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
                .map_err(LaneError::kafka("fetch a partition's end"))?;
            ends.insert(partition, End { offset, record: None });
            low.insert(partition, start);
        }
        let mut window = FIRST_WINDOW;
        let mut open: BTreeSet<i32> = partitions.iter().copied().collect();
        while !open.is_empty() {
            let starts = open.iter().map(|it| (*it, (ends[it].offset - window).max(low[it]))).collect();
            for record in self.read_to_end(topic, &starts)? {
                if let Some(end) = ends.get_mut(&record.partition()) {
                    end.record = Some(record);
                }
            }
            open.retain(|it| ends[it].record.is_none() && starts[it] > low[it]);
            window *= 16;
        }
        Ok(ends)
    }

    /// The last record of each partition from the given offset to the end.
    fn read_to_end(&self, topic: &str, starts: &BTreeMap<i32, i64>) -> Result<Vec<OwnedMessage>, LaneError> {
        let mut assignment = TopicPartitionList::new();
        for (partition, start) in starts {
            assignment
                .add_partition_offset(topic, *partition, Offset::Offset(*start))
                .map_err(LaneError::kafka("choose an offset"))?;
        }
        self.consumer.assign(&assignment).map_err(LaneError::kafka("assign a partition"))?;
        let mut last = BTreeMap::new();
        let mut unfinished: BTreeSet<i32> = starts.keys().copied().collect();
        let mut problem = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while !unfinished.is_empty() {
            match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(record)) => {
                    last.insert(record.partition(), record.detach());
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    unfinished.remove(&partition);
                }
                // librdkafka tries again by itself; if it doesn't help, this is the reason to give.
                Some(Err(error)) => problem = error,
                None => {}
            }
            if Instant::now() > self.deadline {
                return Err(LaneError::Kafka { doing: "read a partition's end", source: problem });
            }
        }
        Ok(last.into_values().collect())
    }
}
