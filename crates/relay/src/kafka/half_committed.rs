//! Transactions that Kafka committed in some partitions only.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::reader::Reader;
use crate::kafka::recovery::OpenTransaction;
use crate::lane_definition::LaneDefinition;
use crate::record::Record;
use crate::record::batch_number;
use crate::record::checkpoint::{self, Checkpoint};
use crate::record::checkpoint_check::Tail;
use crate::record::header_block::HeaderBlock;
use crate::record::headers::own_position;

/// What is still open of a transaction that was committed: Kafka wrote the end marker to some of its partitions and lost those
/// of the others (see [`HangingTransactions`](crate::kafka::recovery::HangingTransactions)). A reader sees half of the
/// transaction. The open half is to be aborted and written again.
#[derive(Debug)]
pub(crate) struct OpenHalf {
    /// The partitions, without the checkpoint's: what is open there is the same as what is written again, so that one commit
    /// ends both.
    pub(crate) partitions: Vec<OpenTransaction>,
    /// The open records, and the transaction's checkpoint.
    pub(crate) records: Vec<Record>,
}

/// Finds what is open of a committed transaction.
pub(crate) struct HalfCommitted<'a> {
    pub(crate) definition: &'a LaneDefinition,
    /// The last checkpoint that a read_committed reader sees.
    pub(crate) committed: Option<&'a Checkpoint>,
    /// The partitions' ends for such a reader.
    pub(crate) tails: &'a [Tail],
    /// For it a partition ends at the last record.
    pub(crate) uncommitted: &'a Reader,
}

impl HalfCommitted<'_> {
    /// `None` if nothing shows that what is open was committed, or if it is not all of one transaction: the one whose
    /// checkpoint is the last.
    pub(crate) fn find(&self, open: &[OpenTransaction]) -> Result<Option<OpenHalf>, LaneError> {
        let checkpoint = match self.open_checkpoint(open)? {
            Some(checkpoint) if self.is_committed(&checkpoint) => checkpoint,
            Some(_) => return Ok(None),
            None => match self.committed {
                Some(checkpoint) => checkpoint.clone(),
                None => return Ok(None),
            },
        };
        let checkpoints = &self.definition.checkpoint_topic;
        let partitions: Vec<_> = open.iter().filter(|it| *it.0 != **checkpoints).cloned().collect();
        let mut records = Vec::new();
        for (topic, partition, start) in &partitions {
            let mut written = self.uncommitted.records_from(topic, *partition, *start)?;
            if **topic == *self.definition.route.topic {
                written.retain(|it| self.position(it).is_some());
            }
            if !self.is_of(&checkpoint, &written) {
                return Ok(None);
            }
            records.extend(written.iter().map(|it| copy(topic, it)));
        }
        records.push(self.definition.checkpoint_record(checkpoint));
        Ok(Some(OpenHalf { partitions, records }))
    }

    /// The checkpoint in the open transaction.
    fn open_checkpoint(&self, open: &[OpenTransaction]) -> Result<Option<Checkpoint>, LaneError> {
        let topic = &self.definition.checkpoint_topic;
        let Some((_, partition, start)) = open.iter().find(|it| *it.0 == **topic) else { return Ok(None) };
        let written = self.uncommitted.records_from(topic, *partition, *start)?;
        let last = written.iter().rfind(|it| it.key() == Some(checkpoint::KEY.as_bytes()));
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

    /// Whether records of one partition are those of the checkpoint's transaction.
    fn is_of(&self, checkpoint: &Checkpoint, written: &[OwnedMessage]) -> bool {
        let Some(last) = written.last() else { return false };
        if last.topic() == self.definition.route.topic {
            let expected = checkpoint.last.get(&last.partition()).copied();
            let is_visible = |tail: &Tail| tail.partition == last.partition() && tail.position == expected;
            return self.position(last) == expected && !self.tails.iter().any(is_visible);
        }
        checkpoint.batch > 0 && written.iter().all(|it| batch_number::get(it) == Some(checkpoint.batch))
    }

    fn position(&self, record: &OwnedMessage) -> Option<u64> {
        own_position(record, &self.definition.source)
    }
}

fn copy(topic: &Arc<str>, record: &OwnedMessage) -> Record {
    let headers = record.headers().into_iter().flat_map(|it| it.iter());
    Record {
        topic: Arc::clone(topic),
        partition: record.partition(),
        key: Bytes::copy_from_slice(record.key().unwrap_or_default()),
        value: record.payload().map(Bytes::copy_from_slice),
        headers: HeaderBlock::of(headers.map(|it| (it.key, it.value.unwrap_or_default()))),
    }
}
