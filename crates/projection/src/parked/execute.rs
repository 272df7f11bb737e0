//! Executing requests to replay or discard parked events, as the owner of their partitions.

use std::future::Future;

use aqueduct_core::{ErrorKind, with_causes};
use sqlx::{Connection as _, PgConnection};

use crate::batch::error::BatchError;
use crate::batch::runner::BatchRunner;
use crate::inbox::entry::{Entry, Fault};
use crate::inbox::ownership::OwnedPartition;
use crate::metrics;
use crate::model::handler::Handler;
use crate::parked::plan::Plan;
use crate::parked::steps::{self, State, Work};

impl<H: Handler> BatchRunner<H> {
    /// Executes one step of a request for the partitions that are owned. False: there is nothing to do now.
    pub(crate) async fn execute_parked(&self) -> Result<bool, BatchError> {
        let partitions = self.context.ownership.partitions();
        if partitions.is_empty() {
            return Ok(false);
        }
        let next = async { Ok(steps::next_work(&self.transactions.pool, H::NAME, &partitions).await?) };
        let Some(Some(work)) = self.bounded(next).await? else { return Ok(false) };
        let is_of_work =
            |owned: &&OwnedPartition| *owned.topic == *work.topic && owned.partition == work.partition;
        let Some(partition) = partitions.iter().find(is_of_work) else { return Ok(false) };
        match self.step(&work, partition).await {
            Ok(()) => Ok(!self.context.shutdown.is_cancelled()),
            // A request never stops the projection: the error belongs to the request.
            Err(error) if error.kind() != ErrorKind::Retry => {
                let problem = with_causes(&error);
                tracing::error!(projection = H::NAME, stream = work.stream, problem, "replay failed");
                self.bounded(self.note(&work, partition, State::Failed(&problem))).await?;
                Ok(true)
            }
            Err(error) => {
                // Other work comes first then.
                if let Err(unnoted) = self.bounded(self.note(&work, partition, State::Waiting)).await {
                    let error = with_causes(&unnoted);
                    tracing::warn!(projection = H::NAME, stream = work.stream, error, "attempt not noted");
                }
                Err(error)
            }
        }
    }

    /// Runs a part of a step that waits for Postgres, for as long as the transaction of a batch may take. `None`: the
    /// process is shutting down.
    pub(crate) async fn bounded<T>(
        &self,
        part: impl Future<Output = Result<T, BatchError>> + Send,
    ) -> Result<Option<T>, BatchError> {
        let timeout = self.transactions.timeout;
        let part = tokio::time::timeout(timeout, part);
        let Some(done) = self.context.shutdown.run_until_cancelled(part).await else { return Ok(None) };
        done.unwrap_or(Err(BatchError::Timeout(timeout))).map(Some)
    }

    async fn step(&self, work: &Work, partition: &OwnedPartition) -> Result<(), BatchError> {
        let pool = &self.transactions.pool;
        let begin = async {
            let inbox = self.inboxes.id(pool, &work.source, &partition.topic).await?;
            let must_discard = work.action == "discard" && work.discarded == 0;
            if must_discard && !self.discard(work, partition, inbox).await? {
                return Ok(None);
            }
            let (applied, rows) = steps::next_rows(pool, inbox, &work.stream).await?;
            Ok(Some((inbox, applied, rows)))
        };
        let Some(Some((inbox, applied, rows))) = self.bounded(begin).await? else { return Ok(()) };
        let Some(mut plan) = self.plan(work, partition, inbox, applied, rows).await? else { return Ok(()) };
        if plan.is_stale || (H::REACTS && !self.react(partition, &mut plan).await?) {
            return Ok(());
        }
        let apply = async {
            let mut connection = pool.acquire().await?;
            let done = self.apply_plan(&mut connection, work, partition, inbox, applied, plan).await;
            if let Err(error) = &done
                && error.is_stale_plan()
            {
                connection.clear_cached_statements().await?;
            }
            done
        };
        self.bounded(apply).await.map(drop)
    }

    /// Records how an attempt left the work, unless the partition has another owner.
    async fn note(
        &self,
        work: &Work,
        partition: &OwnedPartition,
        state: State<'_>,
    ) -> Result<(), BatchError> {
        let mut transaction = self.transactions.pool.begin().await?;
        if !steps::hold(&mut *transaction, H::NAME, partition).await? {
            transaction.rollback().await?;
            self.context.ownership.give_up([partition]);
            return Ok(());
        }
        steps::touch(&mut *transaction, H::NAME, work, (0, 0), state).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// False: the partition has another owner.
    async fn discard(&self, work: &Work, partition: &OwnedPartition, inbox: i32) -> Result<bool, BatchError> {
        let mut transaction = self.transactions.pool.begin().await?;
        if !steps::hold(&mut *transaction, H::NAME, partition).await? {
            transaction.rollback().await?;
            self.context.ownership.give_up([partition]);
            return Ok(false);
        }
        let events = steps::discard(&mut *transaction, work, inbox).await?;
        if events > 0 {
            steps::touch(&mut *transaction, H::NAME, work, (0, events), State::Waiting).await?;
        }
        transaction.commit().await?;
        if events > 0 {
            metrics::count(metrics::DISCARDED, H::NAME, events.unsigned_abs());
            let (request, stream) = (work.request, &work.stream);
            tracing::info!(projection = H::NAME, request, stream, events, "parked events discarded");
        }
        Ok(true)
    }

    async fn apply_plan(
        &self,
        connection: &mut PgConnection,
        work: &Work,
        partition: &OwnedPartition,
        inbox: i32,
        applied_before: i64,
        mut plan: Plan<H::Event>,
    ) -> Result<(), BatchError> {
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
