//! Transactions that Kafka committed in some partitions only.

use std::ops::ControlFlow;

use bytes::Bytes;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::producer::ABORTED_KEY;
use crate::kafka::reader::Reader;
use crate::kafka::recovery::OpenTransaction;
use crate::lane_definition::LaneDefinition;
use crate::record::Record;
use crate::record::checkpoint::{self, Checkpoint};
use crate::record::checkpoint_check::Tail;
use crate::record::header_block::HeaderBlock;
use crate::record::headers::own_position;

/// The records of a committed transaction that a read_committed reader does not see: Kafka wrote the end marker to some of its
/// partitions and lost those of the others (see [`HangingTransactions`](crate::kafka::recovery::HangingTransactions)).
#[derive(Debug)]
pub(crate) struct LostHalf {
    /// Where it is still open, except for the checkpoint's partition: what is open there is the same as what is written again,
    /// so that one commit ends both. To be aborted first.
    pub(crate) open: Vec<OpenTransaction>,
    /// The records and the transaction's checkpoint, to be written in one transaction.
    pub(crate) records: Vec<Record>,
}

/// Finds what a committed transaction lost, also where a lane aborted it and ended before it had written it again: aborted
/// records are still in the log.
pub(crate) struct HalfCommitted<'a> {
    pub(crate) definition: &'a LaneDefinition,
    /// The last checkpoint that a read_committed reader sees.
    pub(crate) committed: Option<&'a Checkpoint>,
    /// The partitions' ends for such a reader.
    pub(crate) tails: &'a [Tail],
    /// For it a partition ends at the last record, and it sees aborted records.
    pub(crate) uncommitted: &'a Reader,
}

impl HalfCommitted<'_> {
    /// `None` if nothing is lost, if nothing shows that it was committed, or if it cannot be told from other records. Of open
    /// exceptions and parked events nothing is written again.
    pub(crate) fn find(&self, open: &[OpenTransaction]) -> Result<Option<LostHalf>, LaneError> {
        let LaneDefinition { route, checkpoint_topic, .. } = self.definition;
        let open_checkpoint = open.iter().find(|it| *it.0 == **checkpoint_topic);
        let open_records: Vec<_> = open.iter().filter(|it| *it.0 == *route.topic).cloned().collect();
        if open_records.len() + usize::from(open_checkpoint.is_some()) < open.len() {
            return Ok(None);
        }
        let checkpoint = match open_checkpoint {
            Some(open) => self.open_checkpoint(open)?.filter(|it| self.is_committed(it)),
            None => self.committed.cloned(),
        };
        let Some(checkpoint) = checkpoint else { return Ok(None) };
        let mut records = Vec::new();
        let mut partitions = Vec::new();
        for tail in self.tails {
            let Some(expected) =
                checkpoint.last.get(&tail.partition).filter(|it| tail.position != Some(**it))
            else {
                continue;
            };
            match self.lost(tail, *expected)? {
                Some(lost) => records.extend(lost.iter().map(|it| self.copy(it))),
                // Retention may have removed the record.
                None if tail.position.is_none() && tail.start > 0 => continue,
                None => return Ok(None),
            }
            partitions.push(tail.partition);
        }
        let is_complete = open_records.iter().all(|(_, partition, _)| partitions.contains(partition));
        if !is_complete || (records.is_empty() && open_checkpoint.is_none()) {
            return Ok(None);
        }
        records.push(self.definition.checkpoint_record(checkpoint));
        Ok(Some(LostHalf { open: open_records, records }))
    }

    /// The checkpoint in the open transaction; `None` if it cannot be read.
    fn open_checkpoint(
        &self,
        (topic, partition, start): &OpenTransaction,
    ) -> Result<Option<Checkpoint>, LaneError> {
        let mut last = None;
        let _all = self.uncommitted.read_from(topic, *partition, *start, |record| {
            if record.key() == Some(checkpoint::KEY.as_bytes()) {
                last = Some(record);
            }
            ControlFlow::Continue(())
        })?;
        Ok(last.and_then(|it| self.definition.parse_checkpoint(it.payload()?).ok()))
    }

    /// Whether a partition shows a record that was written with this checkpoint.
    fn is_committed(&self, open: &Checkpoint) -> bool {
        let last = |checkpoint: &Checkpoint, tail: &Tail| checkpoint.last.get(&tail.partition).copied();
        let known = self.tails.iter().filter(|it| it.position.is_some());
        let mut since =
            known.filter(|it| self.committed.and_then(|before| last(before, it)) != it.position).peekable();
        since.peek().is_some() && since.all(|tail| tail.position == last(open, tail))
    }

    /// The records behind a partition's visible end of the transaction whose last one has the position `expected`. `None` if
    /// it is not there, or if another producer's records are: they may hide committed ones.
    fn lost(&self, tail: &Tail, expected: u64) -> Result<Option<Vec<OwnedMessage>>, LaneError> {
        let (mut found, mut run, mut next) = (None, Vec::new(), tail.next);
        let topic = &self.definition.route.topic;
        let read = self.uncommitted.read_from(topic, tail.partition, tail.next, |record| {
            // Between two transactions of a partition is a marker, which takes an offset.
            if record.offset() != next {
                run.clear();
            }
            next = record.offset() + 1;
            match own_position(&record, &self.definition.source) {
                Some(position) => {
                    run.push(record);
                    if position == expected {
                        found = Some(std::mem::take(&mut run));
                    }
                }
                None if record.key() == Some(ABORTED_KEY) => run.clear(),
                None => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        })?;
        Ok(found.filter(|_| read.is_continue()))
    }

    fn copy(&self, record: &OwnedMessage) -> Record {
        let headers = record.headers().into_iter().flat_map(|it| it.iter());
        Record {
            topic: self.definition.route.topic.as_str().into(),
            partition: record.partition(),
            key: Bytes::copy_from_slice(record.key().unwrap_or_default()),
            value: record.payload().map(Bytes::copy_from_slice),
            headers: HeaderBlock::of(headers.map(|it| (it.key, it.value.unwrap_or_default()))),
        }
    }
}
