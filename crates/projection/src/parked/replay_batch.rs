//! What a step of a request applies: the next parked events of a stream, read and checked again.

use crate::inbox::entry::{Entry, Fault, previous_number};
use crate::inbox::park::gap;
use crate::inbox::reason_code::ReasonCode;
use crate::parked::steps::MissingRevision;

/// Rows in the order of their stream, then perhaps one that cannot be applied.
pub(crate) struct ReplayBatch<E> {
    pub(crate) rows: Vec<ReplayRow<E>>,
    /// The row that ends the step.
    pub(crate) failed: Option<FailedRow>,
    /// Revision that is missing before the row that ends the step, which a discarded record may be.
    pub(crate) gap: Option<MissingRevision>,
    /// Last revision that was applied before the step.
    applied_before: i64,
}

/// A row that is applied or passed.
pub(crate) struct ReplayRow<E> {
    pub(crate) id: i64,
    /// Last revision of the stream after it.
    pub(crate) revision: i64,
    /// `None`: it was discarded or applied before.
    pub(crate) entry: Option<Entry<E>>,
}

/// A row that cannot be applied.
pub(crate) struct FailedRow {
    pub(crate) id: i64,
    pub(crate) fault: Fault,
    /// It was discarded, and it is parked again.
    pub(crate) was_discarded: bool,
}

impl<E> ReplayBatch<E> {
    /// A batch without rows, for a stream of which this revision was applied last.
    pub(crate) fn new(applied_before: i64) -> Self {
        Self { rows: Vec::new(), failed: None, gap: None, applied_before }
    }

    /// Last revision of the stream once the events are applied.
    pub(crate) fn revision(&self) -> i64 {
        self.rows.last().map_or(self.applied_before, |row| row.revision)
    }

    /// The id of the event with that revision, if it is applied with the batch.
    pub(crate) fn event_id(&self) -> Option<&str> {
        let last = self.entries().last()?;
        last.event_id().filter(|_| last.revision().map(u64::cast_signed) == Some(self.revision()))
    }

    /// The events to apply.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<E>> {
        self.rows.iter().filter_map(|row| row.entry.as_ref())
    }

    /// Number of events to apply.
    pub(crate) fn applied(&self) -> usize {
        self.entries().count()
    }

    /// Ends before a row that cannot be applied.
    pub(crate) fn fail(&mut self, id: i64, fault: Fault) {
        self.failed = Some(FailedRow { id, fault, was_discarded: false });
    }

    /// Adds the event of a row, or ends before it.
    pub(crate) fn add(&mut self, id: i64, offset: i64, entry: Entry<E>) {
        let applied = self.revision();
        let previous = previous_number(entry.previous());
        if let Some(previous) = previous.filter(|previous| *previous != applied) {
            let reason = format!("{}: {}", entry.record, gap(entry.previous()));
            self.fail(id, Fault { code: ReasonCode::Gap, reason });
            let missing = MissingRevision { revision: previous, before_offset: offset };
            self.gap = (previous > applied).then_some(missing);
        } else if let Some(fault) = entry.fault() {
            let reason = format!("{}: {}", entry.record, fault.reason);
            let code = fault.code;
            self.fail(id, Fault { code, reason });
        } else {
            let revision = entry.revision().map_or(applied, u64::cast_signed);
            self.rows.push(ReplayRow { id, revision, entry: Some(entry) });
        }
    }

    /// Ends before the event of this index, which failed.
    pub(crate) fn end_before(&mut self, index: usize, fault: Fault) {
        if let Some(row) = self.rows.get(index) {
            self.failed = Some(FailedRow { id: row.id, fault, was_discarded: false });
        }
        self.rows.truncate(index);
    }

    /// Drops the rows behind the first ones; what failed after them is not reached by this step.
    pub(crate) fn keep(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.failed = None;
    }
}
