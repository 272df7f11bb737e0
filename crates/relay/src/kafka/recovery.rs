//! Hanging transactions: Kafka lost their end marker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::message::Message as _;

use crate::error::LaneError;
use crate::kafka::config::REQUEST_TIMEOUT;
use crate::kafka::parked_topics::ParkedTopics;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::reader::Reader;
use crate::lane_definition::LaneDefinition;
use crate::record::batch_number;
use crate::record::checkpoint::{self, Checkpoint};
use crate::record::checkpoint_check::Tail;
use crate::record::checkpoint_error::CheckpointError;
use crate::record::exception::Exception;
use crate::record::headers::own_position;
use crate::record::parked::ParkedEvent;

/// A partition, and the offset at which an open transaction starts.
pub(crate) type OpenTransaction = (Arc<str>, i32, i64);

/// Transactions still open in the lane's partitions after `init_transactions`. The producer cannot own them, so Kafka
/// must have lost their end marker (see [`TransactionalProducer::abort_hanging`]). Left open, they would be ended by
/// the next transaction's marker, which would make aborted records visible, or records that are written again.
pub(crate) struct HangingTransactions<'a> {
    pub(crate) definition: &'a LaneDefinition,
    /// For it a partition ends where the first open transaction begins.
    pub(crate) committed: &'a Reader,
    /// For it a partition ends at the last record.
    pub(crate) uncommitted: &'a Reader,
}

/// Whether a partition ends with the record that the checkpoint names as its last. Then no transaction that is open
/// behind it was committed together with the checkpoint.
fn ends_as_committed(checkpoint: &Checkpoint, tails: &[Tail], partition: i32) -> bool {
    let tail = tails.iter().find(|it| it.partition == partition);
    // Where retention has removed all records, nothing shows it.
    let known = tail.filter(|it| it.position.is_some() || it.start == 0);
    known.is_some_and(|it| it.position == checkpoint.last.get(&partition).copied())
}

impl HangingTransactions<'_> {
    pub(crate) fn find(&self, partitions: &[(Arc<str>, i32)]) -> Result<Vec<OpenTransaction>, LaneError> {
        let mut open = Vec::new();
        for (topic, partition) in partitions {
            // In this order: an end that moves in between is not taken for a difference.
            let (_, end) = self.uncommitted.watermarks(topic, *partition)?;
            let (_, stable) = self.committed.watermarks(topic, *partition)?;
            if stable < end {
                open.push((Arc::clone(topic), *partition, stable));
            }
        }
        Ok(open)
    }

    /// What is open must come after the checkpoint: only then is it right to abort it and to write it again. What
    /// another producer has open cannot be aborted here.
    pub(crate) fn expect_after(
        &self,
        checkpoint: Option<&Checkpoint>,
        tails: &[Tail],
        parked: Option<&ParkedTopics>,
        open: &[OpenTransaction],
    ) -> Result<(), LaneError> {
        let has_open_checkpoint = self.has_open_checkpoint(checkpoint, open)?;
        // What is open in two partitions need not be of the same transaction: an open checkpoint says nothing about
        // exceptions of a batch before it.
        if let Some(parked) = parked {
            self.expect_exceptions_after(checkpoint, parked, open, has_open_checkpoint)?;
        }
        // Replayed events come before the checkpoint, so what is open tells nothing by its position. Where the
        // checkpoint that was written with it is open too, nothing of the transaction was committed.
        if has_open_checkpoint {
            return Ok(());
        }
        let topic = &self.definition.route.topic;
        for (_, partition, start) in open.iter().filter(|it| *it.0 == **topic) {
            let Some(record) = self.uncommitted.first_record(topic, *partition, *start)? else { continue };
            let (partition, offset) = (*partition, record.offset());
            let Some(position) = own_position(&record, &self.definition.source) else {
                return Err(LaneError::HangingTransaction { topic: topic.clone(), partition, offset });
            };
            if let Some(checkpoint) = checkpoint
                && position <= checkpoint.position.commit
                && !ends_as_committed(checkpoint, tails, partition)
            {
                let (topic, lane) = (topic.clone(), self.definition.lane);
                let checkpoint = checkpoint.position;
                let torn = CheckpointError::Torn { topic, lane, partition, offset, position, checkpoint };
                return Err(torn.into());
            }
        }
        Ok(())
    }

    /// Whether the checkpoint of the open transaction is open as well.
    fn has_open_checkpoint(
        &self,
        committed: Option<&Checkpoint>,
        open: &[OpenTransaction],
    ) -> Result<bool, LaneError> {
        let topic = &self.definition.checkpoint_topic;
        let Some((_, partition, start)) = open.iter().find(|it| *it.0 == **topic) else { return Ok(false) };
        let record = self.uncommitted.first_record(topic, *partition, *start)?;
        let written = record.filter(|it| it.key() == Some(checkpoint::KEY.as_bytes()));
        let written = written.and_then(|it| self.definition.parse_checkpoint(it.payload()?).ok());
        let committed = committed.map(|it| it.position);
        Ok(written.is_some_and(|written| Some(written.position) >= committed))
    }

    /// An exception, a parked event, or the end of one, that is open although the checkpoint written with it is
    /// committed.
    fn expect_exceptions_after(
        &self,
        checkpoint: Option<&Checkpoint>,
        parked: &ParkedTopics,
        open: &[OpenTransaction],
        has_open_checkpoint: bool,
    ) -> Result<(), LaneError> {
        for (topic, partition, start) in open {
            if *topic != parked.exceptions && *topic != parked.parked {
                continue;
            }
            let Some(record) = self.uncommitted.first_record(topic, *partition, *start)? else { continue };
            let is_committed = match batch_number::get(&record) {
                Some(number) => number <= checkpoint.map_or(0, |it| it.batch),
                // Without a number, only the open checkpoint tells: its batch was not committed.
                None if has_open_checkpoint => false,
                // A relay that did not count batches wrote it, and that only ever went forward.
                None => {
                    let position = if *topic == parked.exceptions {
                        record.payload().and_then(|json| Some(Exception::parse(json).ok()?.position))
                    } else {
                        ParkedEvent::parse(&record).ok().flatten().map(|(_, parked)| parked.event.position)
                    };
                    position <= checkpoint.map(|it| it.position)
                }
            };
            if is_committed {
                let (topic, partition, offset) = (topic.to_string(), *partition, record.offset());
                return Err(LaneError::TornExceptions { topic, partition, offset });
            }
        }
        Ok(())
    }

    /// Aborts what is open and waits until it is.
    pub(crate) fn abort(
        &self,
        open: Vec<OpenTransaction>,
        producer: &mut TransactionalProducer,
        timeout: Duration,
    ) -> Result<(), LaneError> {
        if open.is_empty() {
            return Ok(());
        }
        let (route, lane) = (&self.definition.route.name, self.definition.lane);
        tracing::warn!(route, lane, ?open, "aborting hanging transactions");
        let partitions: Vec<_> = open.into_iter().map(|(topic, partition, _)| (topic, partition)).collect();
        producer.abort_hanging(&partitions, timeout)?;
        self.wait_until_ended(&partitions)
    }

    /// Waits until no transaction is open in these partitions. The broker answers before it has written the markers.
    pub(crate) fn wait_until_ended(&self, partitions: &[(Arc<str>, i32)]) -> Result<(), LaneError> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.find(partitions)?.into_iter().next() {
                None => return Ok(()),
                Some((topic, partition, offset)) if Instant::now() > deadline => {
                    return Err(LaneError::HangingTransaction {
                        topic: topic.to_string(),
                        partition,
                        offset,
                    });
                }
                Some(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}
