//! What a step of a request will apply: the next parked events of a stream, read and checked again.

use std::sync::Arc;

use aqueduct_core::{ErrorKind, with_causes};

use crate::batch::error::BatchError;
use crate::batch::react;
use crate::batch::runner::BatchRunner;
use crate::inbox::entry::{Content, Entry, Fault, previous_number};
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::park::gap;
use crate::inbox::reason_code::ReasonCode;
use crate::model::handler::Handler;
use crate::parked::event::ParkedState;
use crate::parked::steps::{MissingRevision, NextRows, Row, StreamStep};
use crate::record::Record;
use crate::record::headers::Headers;

/// Events to apply in order, then perhaps one that cannot be applied.
pub(crate) struct Plan<E> {
    pub(crate) events: Vec<Planned<E>>,
    /// The row that ends the step.
    pub(crate) failed: Option<FailedRow>,
    /// Revision that is missing before the row that ends the step, which a discarded record may be.
    pub(crate) gap: Option<MissingRevision>,
    /// Last revision that was applied before the step.
    applied_before: i64,
}

/// A row that is applied or passed.
pub(crate) struct Planned<E> {
    pub(crate) id: i64,
    /// Last revision of the stream after it.
    pub(crate) revision: i64,
    /// `None`: it was discarded or applied before.
    pub(crate) entry: Option<Entry<E>>,
}

/// The record of a row, read again.
#[expect(clippy::large_enum_variant, reason = "it is moved into the plan at once, or ends the step")]
enum RecordRead<E> {
    Readable(Entry<E>),
    /// Its headers, which are needed to apply it, cannot be read.
    Unreadable(Fault),
}

/// What a row needs, before its record is read.
enum RowCheck {
    /// Its record must be read and applied.
    Apply,
    /// It was discarded or applied before: the last revision of the stream after it.
    Passed(i64),
    /// It was discarded, but an event before it is missing.
    BehindGap(Fault),
}

/// A row that cannot be applied.
pub(crate) struct FailedRow {
    pub(crate) id: i64,
    pub(crate) fault: Fault,
    /// It was discarded, and it is parked again.
    pub(crate) was_discarded: bool,
}

impl<H: Handler> BatchRunner<H> {
    /// Reads rows up to the first event that cannot be applied. Returns `None` if the process is shutting down.
    pub(crate) async fn plan(
        &self,
        StreamStep { partition, inbox, .. }: StreamStep<'_>,
        NextRows { applied_before, rows }: NextRows,
    ) -> Result<Option<Plan<H::Event>>, BatchError> {
        let mut plan = Plan { events: Vec::new(), failed: None, gap: None, applied_before };
        for row in rows {
            match row.check(partition, plan.revision()) {
                RowCheck::Passed(revision) => {
                    plan.events.push(Planned { id: row.id, revision, entry: None });
                }
                RowCheck::BehindGap(fault) => {
                    plan.failed = Some(FailedRow { id: row.id, fault, was_discarded: true });
                }
                RowCheck::Apply => {
                    let (id, offset) = (row.id, row.offset);
                    match self.bounded(self.reread(partition, inbox, row)).await? {
                        None => return Ok(None),
                        Some(RecordRead::Readable(entry)) => plan.add(id, offset, entry),
                        Some(RecordRead::Unreadable(fault)) => plan.fail(id, fault),
                    }
                }
            }
            if plan.failed.is_some() {
                break;
            }
        }
        Ok(Some(plan))
    }

    /// Reads the record of a row again.
    async fn reread(
        &self,
        partition: &OwnedPartition,
        inbox: i32,
        row: Row,
    ) -> Result<RecordRead<H::Event>, BatchError> {
        let Some(headers) = Headers::from_json(&row.headers) else {
            let reason = "its stored headers cannot be read".to_owned();
            return Ok(RecordRead::Unreadable(Fault { code: ReasonCode::Headers, reason }));
        };
        let record = Record {
            topic: Arc::clone(&partition.topic),
            partition: row.partition,
            offset: row.offset,
            epoch: partition.epoch,
            key: row.key.map(Into::into),
            payload: row.payload.map(Into::into),
            headers,
        };
        let (_, envelope, content) = self.read(&record).await?;
        Ok(match (&envelope, &content) {
            (None, Content::Invalid(fault)) => {
                let reason = format!("{record}: {}", fault.reason);
                RecordRead::Unreadable(Fault { code: fault.code, reason })
            }
            _ => RecordRead::Readable(Entry::new(record, inbox, envelope, content)),
        })
    }

    /// Reacts to the events of the plan, which then ends before the first one that fails. Returns `None` if the process
    /// is shutting down, or the partition has another owner.
    pub(crate) async fn react(
        &self,
        StreamStep { partition, .. }: StreamStep<'_>,
        mut plan: Plan<H::Event>,
    ) -> Result<Option<Plan<H::Event>>, BatchError> {
        for index in 0..plan.events.len() {
            let planned = &plan.events[index];
            let Some((entry, (event, envelope))) =
                planned.entry.as_ref().and_then(|entry| Some((entry, entry.event()?)))
            else {
                continue;
            };
            if self.context.shutdown.is_cancelled() || !self.context.ownership.owns_partition(partition) {
                return Ok(None);
            }
            let Err((code, error)) = react::attempt(&self.transactions.handler, event, envelope).await else {
                continue;
            };
            if error.kind() == ErrorKind::Retry {
                return Err(BatchError::Reaction(error));
            }
            let fault = Fault { code, reason: format!("{}: {}", entry.record, with_causes(&error)) };
            plan.end_before(index, fault);
            break;
        }
        Ok(Some(plan))
    }
}

impl Row {
    /// Checks the row against the last revision of its stream before it.
    fn check(&self, partition: &OwnedPartition, revision: i64) -> RowCheck {
        if self.state == ParkedState::Discarded.as_str() {
            match self.missing_before(revision) {
                Some(missing) => RowCheck::BehindGap(self.behind_gap(partition, missing)),
                None => RowCheck::Passed(self.revision.map_or(revision, |own| own.max(revision))),
            }
        } else if self.revision.is_some_and(|own| own <= revision) {
            RowCheck::Passed(revision)
        } else {
            RowCheck::Apply
        }
    }

    /// The previous revision of a discarded row, if the stream has not reached it. `None` also where the row was
    /// known to be behind a gap, which was then discarded with it, and where its headers cannot be read.
    fn missing_before(&self, revision: i64) -> Option<i64> {
        if self.code == ReasonCode::Gap.as_str() {
            return None;
        }
        let envelope = Headers::from_json(&self.headers)?.envelope(self.key.as_deref()).ok()?;
        previous_number(envelope.previous).filter(|previous| *previous > revision)
    }

    /// Whoever discarded the event could not know that another one is missing before it.
    fn behind_gap(&self, partition: &OwnedPartition, missing: i64) -> Fault {
        let (topic, number, offset) = (&partition.topic, self.partition, self.offset);
        let reason = format!(
            "{topic}/{number}@{offset}: it was discarded and is parked again, because revision {missing} before it is \
             missing: discard it again to skip both, or wait until the missing event arrives"
        );
        Fault { code: ReasonCode::Gap, reason }
    }
}

impl<E> Plan<E> {
    /// Last revision of the stream once the events are applied.
    pub(crate) fn revision(&self) -> i64 {
        self.events.last().map_or(self.applied_before, |planned| planned.revision)
    }

    /// The events to apply.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<E>> {
        self.events.iter().filter_map(|planned| planned.entry.as_ref())
    }

    /// Number of events to apply.
    pub(crate) fn applied(&self) -> usize {
        self.entries().count()
    }

    /// Ends before a row that cannot be applied.
    fn fail(&mut self, id: i64, fault: Fault) {
        self.failed = Some(FailedRow { id, fault, was_discarded: false });
    }

    /// Adds the event of a row, or ends before it.
    fn add(&mut self, id: i64, offset: i64, entry: Entry<E>) {
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
            self.events.push(Planned { id, revision, entry: Some(entry) });
        }
    }

    /// Ends before the event of this index, which failed.
    pub(crate) fn end_before(&mut self, index: usize, fault: Fault) {
        if let Some(planned) = self.events.get(index) {
            self.failed = Some(FailedRow { id: planned.id, fault, was_discarded: false });
        }
        self.events.truncate(index);
    }

    /// Drops the second half; what failed after it is not reached by this step.
    pub(crate) fn halve(&mut self) {
        self.events.truncate(self.events.len() / 2);
        self.failed = None;
    }
}
