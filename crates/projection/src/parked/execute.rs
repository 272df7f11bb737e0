//! Executing requests to replay or discard parked events, as the owner of their partitions.

use std::sync::Arc;

use aqueduct_core::ErrorKind;
use sqlx::Connection as _;

use crate::batch::error::BatchError;
use crate::batch::processor::Processor;
use crate::batch::react;
use crate::causes::with_causes;
use crate::inbox::entry::{Content, Entry, Fault, ReasonCode, previous_number};
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::park::gap;
use crate::metrics;
use crate::model::handler::Handler;
use crate::parked::steps::{self, Row, State, Work};
use crate::record::Record;
use crate::record::headers::Headers;

/// What the rows of a step amount to: events to apply in order, then perhaps one that can't be applied.
struct Plan<E> {
    events: Vec<Planned<E>>,
    /// Last revision of the stream once the events are applied.
    revision: i64,
    /// The row that ends the step.
    failed: Option<(i64, Fault)>,
    /// A gap was explained: the rows must be read again.
    is_stale: bool,
}

struct Planned<E> {
    id: i64,
    revision: i64,
    entry: Option<Entry<E>>,
}

impl<H: Handler> Processor<H> {
    /// Executes one step of the oldest request for the partitions that are owned. False: there is nothing to do now.
    pub(crate) async fn execute_parked(&self) -> Result<bool, BatchError> {
        let partitions = self.context.ownership.partitions();
        if partitions.is_empty() {
            return Ok(false);
        }
        let pool = &self.transactions.pool;
        let Some(work) = steps::next_work(pool, H::NAME, &partitions).await? else { return Ok(false) };
        let is_of_work =
            |owned: &&OwnedPartition| *owned.topic == *work.topic && owned.partition == work.partition;
        let Some(partition) = partitions.iter().find(is_of_work) else { return Ok(false) };
        match self.step(&work, partition).await {
            Ok(()) => Ok(true),
            // A request never stops the projection: the error belongs to the request.
            Err(error) if error.kind() != ErrorKind::Retry => {
                let problem = with_causes(&error);
                tracing::error!(projection = H::NAME, stream = work.stream, problem, "replay failed");
                steps::touch(pool, H::NAME, &work, (0, 0), State::Failed(&problem)).await?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    async fn step(&self, work: &Work, partition: &OwnedPartition) -> Result<(), BatchError> {
        let pool = &self.transactions.pool;
        let topic: Arc<str> = Arc::clone(&partition.topic);
        let inbox = self.inboxes.number(pool, &work.source, &topic).await?;
        if work.action == "discard" && !self.discard(work, partition, inbox).await? {
            return Ok(());
        }
        let (applied, rows) = steps::next_rows(pool, inbox, &work.stream).await?;
        let mut plan = self.plan(work, partition, inbox, applied, rows).await?;
        if plan.is_stale {
            return Ok(());
        }
        if H::REACTS {
            self.react(&mut plan).await?;
        }
        self.apply_plan(work, partition, inbox, applied, plan).await
    }

    /// False: the partition has another owner.
    async fn discard(&self, work: &Work, partition: &OwnedPartition, inbox: i32) -> Result<bool, BatchError> {
        let mut transaction = self.transactions.pool.begin().await?;
        if !steps::hold(&mut *transaction, H::NAME, partition).await? {
            self.context.ownership.give_up([partition]);
            return Ok(false);
        }
        let discarded = steps::discard(&mut *transaction, work, inbox).await?;
        if discarded > 0 {
            steps::touch(&mut *transaction, H::NAME, work, (0, discarded), State::Waiting).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Reads rows up to the first event that can't be applied.
    async fn plan(
        &self,
        work: &Work,
        partition: &OwnedPartition,
        inbox: i32,
        applied: i64,
        rows: Vec<Row>,
    ) -> Result<Plan<H::Event>, BatchError> {
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
            let entry = match self.entry(partition, inbox, row).await? {
                Ok(entry) => entry,
                Err(fault) => {
                    plan.failed = Some((id, fault));
                    break;
                }
            };
            let previous = previous_number(entry.previous());
            if let Some(missing) = previous.filter(|previous| *previous != plan.revision) {
                let pool = &self.transactions.pool;
                let is_explained = missing > plan.revision
                    && steps::explain_gap(pool, inbox, &work.stream, missing, offset).await?;
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
        Ok(plan)
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

    /// Reacts to the events of the plan, which then ends before the first one that fails.
    async fn react(&self, plan: &mut Plan<H::Event>) -> Result<(), BatchError> {
        for index in 0..plan.events.len() {
            let planned = &plan.events[index];
            let Some((entry, (event, envelope))) =
                planned.entry.as_ref().and_then(|entry| Some((entry, entry.event()?)))
            else {
                continue;
            };
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
        Ok(())
    }

    async fn apply_plan(
        &self,
        work: &Work,
        partition: &OwnedPartition,
        inbox: i32,
        applied_before: i64,
        mut plan: Plan<H::Event>,
    ) -> Result<(), BatchError> {
        let mut connection = self.transactions.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        if !steps::hold(&mut *transaction, H::NAME, partition).await? {
            transaction.rollback().await?;
            self.context.ownership.give_up([partition]);
            return Ok(());
        }
        while !plan.events.is_empty() {
            let entries = plan.events.iter().filter_map(|planned| planned.entry.as_ref());
            let events: Vec<_> = entries.filter_map(Entry::event).collect();
            if events.is_empty() {
                break;
            }
            let mut savepoint = transaction.begin().await?;
            match self.transactions.handler.apply(&mut savepoint, &events).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Park => {
                    savepoint.rollback().await?;
                    // Without the second half; with one event left, that one is at fault.
                    match plan.events.len() {
                        1 => {
                            let record = plan.events[0].entry.as_ref().map(|entry| entry.record.to_string());
                            let reason = format!("{}: {}", record.unwrap_or_default(), with_causes(&error));
                            plan.end_before(0, Fault { code: error.code(), reason });
                        }
                        count => {
                            plan.events.truncate(count / 2);
                            plan.failed = None;
                        }
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let revision = plan.events.last().map_or(applied_before, |planned| planned.revision);
        let ids: Vec<_> = plan.events.iter().map(|planned| planned.id).collect();
        let count = plan.events.iter().filter(|planned| planned.entry.is_some()).count();
        let is_open = steps::applied(&mut *transaction, inbox, &work.stream, &ids, revision).await?;
        let state = match &plan.failed {
            Some((id, fault)) => {
                metrics::error(H::NAME, ErrorKind::Park);
                steps::park_again(&mut *transaction, *id, fault).await?;
                State::Failed(&fault.reason)
            }
            None if is_open => State::Done,
            None => State::Waiting,
        };
        let count_applied = i64::try_from(count).unwrap_or(i64::MAX);
        steps::touch(&mut *transaction, H::NAME, work, (count_applied, 0), state).await?;
        transaction.commit().await?;
        metrics::count(metrics::EVENTS_APPLIED, H::NAME, count as u64);
        if let Some((_, fault)) = &plan.failed {
            let (stream, reason) = (&work.stream, &fault.reason);
            tracing::error!(projection = H::NAME, stream, reason, "parked event failed again");
        } else if is_open {
            tracing::info!(
                projection = H::NAME,
                stream = work.stream,
                revision,
                "stream is no longer blocked"
            );
        }
        Ok(())
    }
}

impl<E> Plan<E> {
    /// Ends before the event of this index, which failed.
    fn end_before(&mut self, index: usize, fault: Fault) {
        if let Some(planned) = self.events.get(index) {
            self.failed = Some((planned.id, fault));
        }
        self.events.truncate(index);
    }
}
