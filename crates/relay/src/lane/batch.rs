//! A batch: the records and the checkpoint of one transaction.

use std::collections::BTreeMap;

use aqueduct_core::Position;
use aqueduct_core::mapping::MetadataCounts;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::lane::trace::BatchSpan;
use crate::metrics::LaneMetrics;
use crate::record::Record;
use crate::record::code::Code;
use crate::record::exception::ExceptionState;

/// Encoded records and their checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The checkpoint is the last.
    pub(crate) records: Vec<Record>,
    /// Keys, headers and values of the records.
    pub(crate) bytes: usize,
    /// Position of the checkpoint.
    pub(crate) position: Option<Position>,
    /// Events that became records.
    pub(crate) events: u64,
    /// Events that were brought to a later version, by type.
    pub(crate) upcast: BTreeMap<String, u64>,
    /// Records without a previous revision.
    pub(crate) hidden: u64,
    /// What could not be used of the events' metadata.
    pub(crate) left_out: MetadataCounts,
    /// Fields that no schema has and that were left out, by type.
    pub(crate) dropped_fields: BTreeMap<String, u64>,
    /// Events that did not become records, by what became of them and why.
    pub(crate) exceptions: BTreeMap<(ExceptionState, Code), u64>,
    /// Events of the lane that are parked once the batch is committed; `None` where it can park none.
    pub(crate) parked: Option<u64>,
    /// When the first of the events came, and the span that began then; `None` for a checkpoint alone.
    pub(crate) opened: Option<(Instant, BatchSpan)>,
}

impl Batch {
    /// Begins the batch, where it has not begun.
    pub(crate) fn open(&mut self, route: &str, lane: u32) -> &mut BatchSpan {
        let (_, span) = self.opened.get_or_insert_with(|| (Instant::now(), BatchSpan::new(route, lane)));
        span
    }

    /// Adds a record that is not an event's.
    pub(crate) fn push(&mut self, record: Record) {
        let value = record.value.as_ref().map_or(0, Bytes::len);
        self.bytes += record.key.len() + value + record.headers.text_bytes();
        self.records.push(record);
    }

    /// Counts a batch whose transaction is committed.
    pub(crate) fn count(&self, metrics: &LaneMetrics) {
        metrics.transaction("committed");
        metrics.events_relayed(self.events);
        if let Some((opened, _)) = &self.opened {
            metrics.batch_took(opened.elapsed());
        }
        self.upcast.iter().for_each(|(event_type, count)| metrics.upcast(event_type, *count));
        self.dropped_fields.iter().for_each(|(event_type, count)| metrics.dropped_fields(event_type, *count));
        self.left_out.iter().for_each(|(reason, count)| metrics.left_out(reason, count));
        for ((state, code), count) in &self.exceptions {
            metrics.exceptions(state.as_str(), *code, *count);
        }
        metrics.previous_hidden(self.hidden);
    }
}

/// A batch on its way to its transaction.
pub(crate) struct SealedBatch {
    pub(crate) batch: Batch,
    /// Held until the transaction has ended: there is one at a time, so that what arrives meanwhile fills the next
    /// batch, and their channel needs no bound.
    pub(crate) turn: OwnedSemaphorePermit,
}
