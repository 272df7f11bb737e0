//! What a step of a request will apply: the next parked events of a stream, read and checked again.

use std::sync::Arc;

use aqueduct_core::{ErrorKind, with_causes};

use crate::batch::error::BatchError;
use crate::batch::react;
use crate::batch::runner::BatchRunner;
use crate::inbox::entry::{Content, Entry, Fault, ReasonCode, previous_number};
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::park::gap;
use crate::model::handler::Handler;
use crate::parked::steps::{self, Row, Work};
use crate::record::Record;
use crate::record::headers::Headers;

/// What the rows of a step amount to: events to apply in order, then perhaps one that can't be applied.
pub(crate) struct Plan<E> {
    pub(crate) events: Vec<Planned<E>>,
    /// Last revision of the stream once the events are applied.
    pub(crate) revision: i64,
    /// The row that ends the step.
    pub(crate) failed: Option<(i64, Fault)>,
    /// A gap was explained: the rows must be read again.
    pub(crate) is_stale: bool,
}

pub(crate) struct Planned<E> {
    pub(crate) id: i64,
    pub(crate) revision: i64,
    pub(crate) entry: Option<Entry<E>>,
}

impl<H: Handler> BatchRunner<H> {
    /// Reads rows up to the first event that can't be applied. `None`: the process is shutting down.
    pub(crate) async fn plan(
        &self,
        work: &Work,
        partition: &OwnedPartition,
        inbox: i32,
        applied: i64,
        rows: Vec<Row>,
    ) -> Result<Option<Plan<H::Event>>, BatchError> {
        let mut plan = Plan { events: Vec::new(), revision: applied, failed: None, is_stale: false };
        for row in rows {
            let (id, offset) = (row.id, row.offset);
            if row.state == "discarded" {
                plan.revision = plan.revision.max(row.revision.unwrap_or(plan.revision));
                plan.events.push(Planned { id, revision: plan.revision, entry: None });
                continue;
            }
            if row.revision.is_some_and(|revision| revision <= plan.revision) {
                plan.events.push(Planned { id, revision: plan.revision, entry: None });
                continue;
            }
            let Some(entry) = self.bounded(self.entry(partition, inbox, row)).await? else { return Ok(None) };
            let entry = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    plan.failed = Some((id, fault));
                    break;
                }
            };
            let previous = previous_number(entry.previous());
            if let Some(missing) = previous.filter(|previous| *previous != plan.revision) {
                let pool = &self.transactions.pool;
                let explained = async {
                    Ok(missing > plan.revision
                        && steps::explain_gap(pool, inbox, &work.stream, missing, offset).await?)
                };
                let Some(is_explained) = self.bounded(explained).await? else { return Ok(None) };
                if is_explained {
                    plan.is_stale = true;
                } else {
                    let reason = format!("{}: {}", entry.record, gap(entry.previous()));
                    plan.failed = Some((id, Fault { code: ReasonCode::Gap, reason }));
                }
                break;
            }
            if let Some(fault) = entry.fault() {
                let reason = format!("{}: {}", entry.record, fault.reason);
                plan.failed = Some((id, Fault { code: fault.code, reason }));
                break;
            }
            plan.revision = entry.revision().map_or(plan.revision, u64::cast_signed);
            plan.events.push(Planned { id, revision: plan.revision, entry: Some(entry) });
        }
        Ok(Some(plan))
    }

    /// The record of a row, read again.
    async fn entry(
        &self,
        partition: &OwnedPartition,
        inbox: i32,
        row: Row,
    ) -> Result<Result<Entry<H::Event>, Fault>, BatchError> {
        let Some(headers) = Headers::from_json(&row.headers) else {
            let reason = "its stored headers can't be read".to_owned();
            return Ok(Err(Fault { code: ReasonCode::Headers, reason }));
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
                Err(Fault { code: fault.code, reason: format!("{record}: {}", fault.reason) })
            }
            _ => Ok(Entry::new(record, inbox, envelope, content)),
        })
    }

    /// Reacts to the events of the plan, which then ends before the first one that fails. False: the process is
    /// shutting down, or the partition has another owner.
    pub(crate) async fn react(
        &self,
        partition: &OwnedPartition,
        plan: &mut Plan<H::Event>,
    ) -> Result<bool, BatchError> {
        for index in 0..plan.events.len() {
            let planned = &plan.events[index];
            let Some((entry, (event, envelope))) =
                planned.entry.as_ref().and_then(|entry| Some((entry, entry.event()?)))
            else {
                continue;
            };
            if self.context.shutdown.is_cancelled() || !self.context.ownership.owns_partition(partition) {
                return Ok(false);
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
        Ok(true)
    }
}

impl<E> Plan<E> {
    /// Ends before the event of this index, which failed.
    pub(crate) fn end_before(&mut self, index: usize, fault: Fault) {
        if let Some(planned) = self.events.get(index) {
            self.failed = Some((planned.id, fault));
        }
        self.events.truncate(index);
    }
}
