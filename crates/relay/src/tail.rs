//! The ends of a lane's partitions: where it has to go on, and what an earlier transaction left open there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_kafka::{Cluster, LogContext, create_client, raw_headers};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::checkpoint::{Checkpoint, CheckpointError, Ledger, Tail};
use crate::kafka::{self, REQUEST_TIMEOUT};
use crate::record::header;
use crate::{LaneError, Options, Pump, Route};

/// Offsets read back from the end at first. Each transaction leaves a marker behind its records, so the last
/// record is near; after many aborted ones it is further away.
const FIRST_WINDOW: i64 = 64;

/// Reads where a lane has to go on and refuses a checkpoint that doesn't agree with its topic. To be called
/// after the lane's producer was opened: from then on nobody else can add to what is read here.
pub(crate) fn resume(
    cluster: &Cluster,
    options: &Options,
    ledger: &Ledger,
    pump: &mut Pump,
) -> Result<Option<Checkpoint>, LaneError> {
    let route = &ledger.route;
    let reader = Reader::new(&kafka::reader(cluster, route))?;
    let checkpoints: Arc<str> = route.checkpoint_topic().into();
    let topic: Arc<str> = route.topic.as_str().into();
    reader.expect_partitions(&checkpoints, ledger.lanes)?;
    reader.expect_partitions(&topic, route.partitions.get())?;

    let lane = ledger.lane as i32;
    let mut last = reader.last_records(&checkpoints, &[lane])?;
    let checkpoint = last
        .remove(&lane)
        .and_then(|end| end.record)
        .map(|record| ledger.parse(record.payload().unwrap_or_default()))
        .transpose()?;

    let partitions: Vec<i32> = route.partitions_of(ledger.lane, options.lanes).collect();
    let mut written: Vec<_> = partitions.iter().map(|it| (Arc::clone(&topic), *it)).collect();
    written.push((checkpoints, lane));
    let left_open = LeftOpen { options, ledger, committed: &reader, everything: everything(cluster, route)? };
    let open = left_open.find(&written)?;
    if !open.is_empty() {
        let route = &route.name;
        tracing::warn!(route, lane, ?open, "kafka has lost the end of a transaction: these are left open");
    }
    left_open.expect_after(checkpoint.as_ref(), &open)?;

    let ends = reader.last_records(&topic, &partitions)?;
    let tails = ends.iter().map(|(partition, end)| {
        let position = end.record.as_ref().map(|record| position_of(&topic, record)).transpose()?;
        Ok(Tail { partition: *partition, end: end.offset, position })
    });
    let tails: Vec<Tail> = tails.collect::<Result<_, CheckpointError>>()?;
    ledger.cross_check(checkpoint.as_ref(), &tails)?;
    left_open.abort(open, pump)?;
    Ok(checkpoint)
}

/// What readers can't see although the lane's producer has just been opened, so that no transaction of it can
/// be open: Kafka has lost the end of one (see [`Pump::abort_left_open`]). Left alone, the next transaction's
/// end would be the lost one's too, and make visible what was to be aborted, or what is written once more.
struct LeftOpen<'a> {
    options: &'a Options,
    ledger: &'a Ledger,
    /// For it a partition ends where the first open transaction begins.
    committed: &'a Reader,
    /// For it at the last record.
    everything: Reader,
}

fn everything(cluster: &Cluster, route: &Route) -> Result<Reader, LaneError> {
    Reader::new(kafka::reader(cluster, route).set("isolation.level", "read_uncommitted"))
}

/// A partition, and the offset from which on it holds an open transaction.
type Open = (Arc<str>, i32, i64);

impl LeftOpen<'_> {
    fn find(&self, partitions: &[(Arc<str>, i32)]) -> Result<Vec<Open>, LaneError> {
        let mut open = Vec::new();
        for (topic, partition) in partitions {
            // In this order: an end that moves in between is not taken for a difference.
            let (_, end) = self.everything.watermarks(topic, *partition)?;
            let (_, stable) = self.committed.watermarks(topic, *partition)?;
            if stable < end {
                open.push((Arc::clone(topic), *partition, stable));
            }
        }
        Ok(open)
    }

    /// What is open must come after the checkpoint: only then is it right to abort it and to write it again.
    fn expect_after(&self, checkpoint: Option<&Checkpoint>, open: &[Open]) -> Result<(), LaneError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        let topic = &self.ledger.route.topic;
        for (_, partition, start) in open.iter().filter(|it| *it.0 == **topic) {
            let record = self.everything.first_record(topic, *partition, *start)?;
            let position = position_of(topic, &record)?;
            if position <= checkpoint.position.commit {
                return Err(CheckpointError::Torn {
                    topic: topic.clone(),
                    lane: self.ledger.lane,
                    partition: *partition,
                    offset: record.offset(),
                    position,
                    checkpoint: checkpoint.position,
                }
                .into());
            }
        }
        Ok(())
    }

    fn abort(&self, open: Vec<Open>, pump: &mut Pump) -> Result<(), LaneError> {
        if open.is_empty() {
            return Ok(());
        }
        let (route, lane) = (&self.ledger.route.name, self.ledger.lane);
        tracing::warn!(
            route,
            lane,
            ?open,
            "kafka has lost the end of a transaction: aborting what it left open"
        );
        let partitions: Vec<_> = open.into_iter().map(|(topic, partition, _)| (topic, partition)).collect();
        pump.abort_left_open(&partitions, self.options.transaction_timeout())?;
        // The broker answers before it has written the markers.
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.find(&partitions)?.into_iter().next() {
                None => return Ok(()),
                Some((topic, partition, offset)) if Instant::now() > deadline => {
                    return Err(LaneError::LeftOpen { topic: topic.to_string(), partition, offset });
                }
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

fn position_of(topic: &str, record: &OwnedMessage) -> Result<u64, CheckpointError> {
    let headers = record.headers().map(OwnedHeaders::as_borrowed);
    let mut headers = headers.into_iter().flat_map(raw_headers);
    let value = headers.find(|it| it.name == header::POSITION.as_bytes()).and_then(|it| it.value);
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
}

impl Reader {
    fn new(config: &ClientConfig) -> Result<Self, LaneError> {
        let consumer = create_client(config, LogContext).map_err(LaneError::kafka("create a reader"))?;
        Ok(Self { consumer })
    }

    /// The first offset of a partition, and the one after the last that this reader may see.
    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), LaneError> {
        self.consumer
            .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
            .map_err(LaneError::kafka("fetch a partition's end"))
    }

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
            let (start, offset) = self.watermarks(topic, partition)?;
            ends.insert(partition, End { offset, record: None });
            low.insert(partition, start);
        }
        let mut window = FIRST_WINDOW;
        let mut open: BTreeSet<i32> = partitions.iter().copied().collect();
        while !open.is_empty() {
            let starts = open.iter().map(|it| (*it, (ends[it].offset - window).max(low[it]))).collect();
            self.read_to_end(topic, &starts, |record| {
                if let Some(end) = ends.get_mut(&record.partition()) {
                    end.record = Some(record);
                }
            })?;
            open.retain(|it| ends[it].record.is_none() && starts[it] > low[it]);
            window *= 16;
        }
        Ok(ends)
    }

    /// Reads each partition from the given offset to its end.
    fn read_to_end(
        &self,
        topic: &str,
        starts: &BTreeMap<i32, i64>,
        mut take: impl FnMut(OwnedMessage),
    ) -> Result<(), LaneError> {
        self.assign(topic, starts)?;
        let mut unfinished: BTreeSet<i32> = starts.keys().copied().collect();
        self.poll_until(|found| {
            match found {
                Found::Record(record) => take(record),
                Found::End(partition) => {
                    unfinished.remove(&partition);
                }
            }
            unfinished.is_empty().then_some(())
        })
    }

    /// The first record of a partition from the given offset on, where there is one.
    fn first_record(&self, topic: &str, partition: i32, start: i64) -> Result<OwnedMessage, LaneError> {
        self.assign(topic, &BTreeMap::from([(partition, start)]))?;
        self.poll_until(|found| match found {
            Found::Record(record) => Some(record),
            Found::End(_) => None,
        })
    }

    fn assign(&self, topic: &str, starts: &BTreeMap<i32, i64>) -> Result<(), LaneError> {
        let mut assignment = TopicPartitionList::new();
        for (partition, start) in starts {
            assignment
                .add_partition_offset(topic, *partition, Offset::Offset(*start))
                .map_err(LaneError::kafka("choose an offset"))?;
        }
        self.consumer.assign(&assignment).map_err(LaneError::kafka("assign a partition"))
    }

    fn poll_until<T>(&self, mut enough: impl FnMut(Found) -> Option<T>) -> Result<T, LaneError> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let mut problem = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while Instant::now() < deadline {
            let found = match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(record)) => enough(Found::Record(record.detach())),
                Some(Err(KafkaError::PartitionEOF(partition))) => enough(Found::End(partition)),
                // librdkafka tries again by itself; if it doesn't help, this is the reason to give.
                Some(Err(error)) => {
                    problem = error;
                    None
                }
                None => None,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(LaneError::Kafka { doing: "read a partition's end", source: problem })
    }
}

/// What a reader meets.
enum Found {
    Record(OwnedMessage),
    /// The end of this partition.
    End(i32),
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use rdkafka::Timestamp;
    use rdkafka::bindings::rd_kafka_header_add;
    use rdkafka::message::BorrowedHeaders;

    use super::*;

    #[test]
    fn a_record_of_another_producer_is_refused_whatever_its_headers_are_called() {
        let headers = OwnedHeaders::new();
        let native: *const BorrowedHeaders = headers.as_borrowed();
        // SAFETY: this is librdkafka's own pointer, and it copies the name.
        unsafe { rd_kafka_header_add(native.cast_mut().cast(), c"caf\xe9".as_ptr(), -1, ptr::null(), 0) };
        let (topic, time) = ("shop.orders", Timestamp::NotAvailable);
        let record = OwnedMessage::new(None, None, topic.to_owned(), time, 3, 42, Some(headers));
        let refused = position_of(topic, &record).unwrap_err();
        assert!(matches!(refused, CheckpointError::Foreign { partition: 3, offset: 42, .. }), "{refused}");
    }
}
