//! Executing requests to replay or discard parked events, as the owner of their partitions.

use std::sync::Arc;

use aqueduct_core::{ErrorKind, with_causes};
use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use crate::batch::error::BatchError;
use crate::batch::runner::BatchRunner;
use crate::inbox::ownership::OwnedPartition;
use crate::metrics;
use crate::model::handler::Handler;
use crate::parked::apply::apply_with_bisection;
use crate::parked::react::react;
use crate::parked::read::read_batch;
use crate::parked::replay_batch::ReplayBatch;
use crate::parked::steps::{
    self, Gap, MissingRevision, NextRows, PartitionLock, PendingStream, StepOutcome, StepProgress,
    StreamState, StreamStep,
};
use crate::record::headers::Headers;

/// Result of [`BatchProcessor::execute_step`](crate::BatchProcessor::execute_step).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStep {
    /// A step was executed, and there may be another one to do.
    Executed,
    /// No request concerns the claimed partitions, or the process is shutting down.
    NothingToDo,
}

/// Executes requests with a handler whose type is erased.
#[async_trait]
pub(crate) trait ExecuteStep: Send + Sync {
    /// Executes one step of a request to replay or discard parked events.
    async fn execute_step(&self) -> Result<RequestStep, BatchError>;
}

/// Executes requests with the handler and the connections of a batch runner.
pub(crate) struct RequestExecutor<H> {
    runner: Arc<BatchRunner<H>>,
}

#[async_trait]
impl<H: Handler> ExecuteStep for RequestExecutor<H> {
    async fn execute_step(&self) -> Result<RequestStep, BatchError> {
        let partitions = self.runner.context.ownership.partitions();
        if partitions.is_empty() {
            return Ok(RequestStep::NothingToDo);
        }
        let next = async {
            Ok(steps::next_pending(
                &self.runner.transactions.pool,
                self.runner.context.projection,
                &partitions,
            )
            .await?)
        };
        let Some(pending) = self.runner.bounded(next).await?.flatten() else {
            return Ok(RequestStep::NothingToDo);
        };
        let is_its_partition =
            |owned: &&OwnedPartition| *owned.topic == *pending.topic && owned.partition == pending.partition;
        let Some(partition) = partitions.iter().find(is_its_partition) else {
            return Ok(RequestStep::NothingToDo);
        };
        match self.step(&pending, partition).await {
            Ok(()) if self.runner.context.shutdown.is_cancelled() => Ok(RequestStep::NothingToDo),
            Ok(()) => Ok(RequestStep::Executed),
            // A request never halts the projection: the error belongs to the request.
            Err(error) if error.kind() != ErrorKind::Retry => {
                let error = with_causes(&error);
                let PendingStream { request, action, stream, .. } = &pending;
                tracing::error!(
                    projection = self.runner.context.projection,
                    request,
                    action,
                    stream,
                    error,
                    "request for parked events failed"
                );
                let outcome = StepOutcome::Failed(&error);
                self.on_connection(async |connection| {
                    self.record_attempt(connection, &pending, partition, outcome).await
                })
                .await?;
                Ok(RequestStep::Executed)
            }
            Err(error) => {
                // This sets `touched_at`, so the next step takes another stream.
                let attempt = self.on_connection(async |connection| {
                    self.record_attempt(connection, &pending, partition, StepOutcome::Waiting).await
                });
                if let Err(record_error) = attempt.await {
                    let error = with_causes(&record_error);
                    let stream = pending.stream;
                    tracing::warn!(
                        projection = self.runner.context.projection,
                        stream,
                        error,
                        "recording the attempt failed"
                    );
                }
                Err(error)
            }
        }
    }
}

impl<H: Handler> RequestExecutor<H> {
    pub(crate) fn new(runner: Arc<BatchRunner<H>>) -> Self {
        Self { runner }
    }

    async fn step(&self, pending: &PendingStream, partition: &OwnedPartition) -> Result<(), BatchError> {
        let inbox = async {
            Ok(self
                .runner
                .inboxes
                .id(&self.runner.transactions.pool, &pending.source, &partition.topic)
                .await?)
        };
        let Some(inbox) = self.runner.bounded(inbox).await? else { return Ok(()) };
        let step = StreamStep { pending, partition, inbox };
        if pending.must_discard() {
            // The replay of the stream may have to wait for other discards.
            return self
                .on_connection(async |connection| self.discard(connection, step).await)
                .await
                .map(drop);
        }
        let next = self.on_connection(async |connection| self.next_rows(connection, step).await);
        let Some(next) = next.await?.flatten() else { return Ok(()) };
        let Some(mut batch) = read_batch(&self.runner, step, next).await? else { return Ok(()) };
        if let Some(missing) = batch.gap {
            let gap = self.on_connection(async |connection| self.explain(connection, step, missing).await);
            if gap.await?.flatten() != Some(Gap::Remains) {
                // The rows must be read again, by whoever owns the partition.
                return Ok(());
            }
        }
        if H::REACTS {
            let Some(handled) = react(&self.runner, step, batch).await? else { return Ok(()) };
            batch = handled;
        }
        self.on_connection(async |connection| self.apply_rows(connection, step, batch).await).await.map(drop)
    }

    /// Runs a part of a step on a connection, for as long as the transaction of a batch may take. Returns `None` if the process
    /// is shutting down. A part that is cut off may have begun a transaction: its connection is not used again.
    async fn on_connection<T>(
        &self,
        part: impl AsyncFnOnce(&mut PgConnection) -> Result<T, BatchError>,
    ) -> Result<Option<T>, BatchError> {
        let acquired = async { Ok(self.runner.transactions.pool.acquire().await?) };
        let Some(mut connection) = self.runner.bounded(acquired).await? else { return Ok(None) };
        let done = self.runner.bounded(part(&mut connection)).await;
        if matches!(done, Ok(None) | Err(BatchError::Timeout(_))) {
            connection.close_on_drop();
        }
        done
    }

    /// Begins a transaction that has locked the partition. Returns `None` if the partition has another owner.
    async fn begin_owned<'c>(
        &self,
        connection: &'c mut PgConnection,
        partition: &OwnedPartition,
    ) -> Result<Option<Transaction<'c, Postgres>>, BatchError> {
        let mut transaction = connection.begin().await?;
        match steps::lock_partition(&mut *transaction, self.runner.context.projection, partition).await? {
            PartitionLock::Acquired => Ok(Some(transaction)),
            PartitionLock::OtherOwner => {
                transaction.rollback().await?;
                self.runner.context.ownership.give_up([partition]);
                Ok(None)
            }
        }
    }

    /// Records how an attempt left the stream, unless the partition has another owner.
    async fn record_attempt(
        &self,
        connection: &mut PgConnection,
        pending: &PendingStream,
        partition: &OwnedPartition,
        outcome: StepOutcome<'_>,
    ) -> Result<(), BatchError> {
        let Some(mut transaction) = self.begin_owned(connection, partition).await? else {
            return Ok(());
        };
        steps::record_progress(
            &mut *transaction,
            self.runner.context.projection,
            pending,
            StepProgress::default(),
            outcome,
        )
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Discards the next selected events, unless the partition has another owner.
    async fn discard(
        &self,
        connection: &mut PgConnection,
        StreamStep { pending, partition, inbox }: StreamStep<'_>,
    ) -> Result<(), BatchError> {
        let Some(mut transaction) = self.begin_owned(connection, partition).await? else {
            return Ok(());
        };
        let progress = steps::discard(&mut *transaction, pending, inbox).await?;
        // The stream waits for the replay of what follows the discarded events.
        let outcome = StepOutcome::Waiting;
        steps::record_progress(&mut *transaction, self.runner.context.projection, pending, progress, outcome)
            .await?;
        transaction.commit().await?;
        let events = progress.discarded;
        if events > 0 {
            metrics::count(metrics::DISCARDED, self.runner.context.projection, events.unsigned_abs());
            let (request, stream) = (pending.request, &pending.stream);
            tracing::info!(
                projection = self.runner.context.projection,
                request,
                stream,
                events,
                "parked events discarded"
            );
        }
        Ok(())
    }

    /// Reads the next rows of the stream. Events whose headers could not be read when they were parked, and can be now,
    /// get their place in the stream first. Returns `None` if the partition has another owner.
    async fn next_rows(
        &self,
        connection: &mut PgConnection,
        StreamStep { pending, partition, inbox }: StreamStep<'_>,
    ) -> Result<Option<NextRows>, BatchError> {
        let rows = steps::rows_without_revision(&mut *connection, inbox, &pending.stream).await?;
        let readable = rows.iter().filter_map(|row| {
            let envelope = Headers::from_json(&row.headers)?.envelope(row.key.as_deref()).ok()?;
            (envelope.stream.as_str() == pending.stream).then(|| (row.id, envelope.revision.cast_signed()))
        });
        let (ids, revisions): (Vec<_>, Vec<_>) = readable.unzip();
        if !ids.is_empty() {
            let Some(mut transaction) = self.begin_owned(connection, partition).await? else {
                return Ok(None);
            };
            steps::assign_revisions(&mut *transaction, &ids, &revisions).await?;
            transaction.commit().await?;
        }
        Ok(Some(steps::next_rows(connection, inbox, &pending.stream).await?))
    }

    /// Takes a discarded record without a readable revision for the missing one, if there is one. Returns `None` if the
    /// partition has another owner.
    async fn explain(
        &self,
        connection: &mut PgConnection,
        step: StreamStep<'_>,
        missing: MissingRevision,
    ) -> Result<Option<Gap>, BatchError> {
        let Some(mut transaction) = self.begin_owned(connection, step.partition).await? else {
            return Ok(None);
        };
        let stream = &step.pending.stream;
        let gap = steps::assign_gap_to_discarded(&mut *transaction, step.inbox, stream, missing).await?;
        transaction.commit().await?;
        Ok(Some(gap))
    }

    /// Applies the rows in one transaction and records the progress, unless the partition has another owner.
    async fn apply_rows(
        &self,
        connection: &mut PgConnection,
        step: StreamStep<'_>,
        batch: ReplayBatch<H::Event>,
    ) -> Result<(), BatchError> {
        let applied = self.commit_rows(connection, step, batch).await;
        if let Err(error) = &applied
            && error.is_stale_statement()
        {
            connection.clear_cached_statements().await?;
        }
        applied
    }

    async fn commit_rows(
        &self,
        connection: &mut PgConnection,
        step: StreamStep<'_>,
        mut batch: ReplayBatch<H::Event>,
    ) -> Result<(), BatchError> {
        let Some(mut transaction) = self.begin_owned(connection, step.partition).await? else {
            return Ok(());
        };
        apply_with_bisection(&self.runner.transactions.handler, &mut transaction, &mut batch).await?;
        let stream_state = self.finish(&mut transaction, step, &batch).await?;
        transaction.commit().await?;
        metrics::count(metrics::EVENTS_APPLIED, self.runner.context.projection, batch.applied() as u64);
        let stream = &step.pending.stream;
        if let Some(failed) = &batch.failed {
            let error = &failed.fault.reason;
            tracing::error!(
                projection = self.runner.context.projection,
                stream,
                error,
                "parked event failed again"
            );
        } else if stream_state == StreamState::Open {
            let revision = batch.revision();
            tracing::info!(
                projection = self.runner.context.projection,
                stream,
                revision,
                "stream is no longer blocked"
            );
        }
        Ok(())
    }

    /// Moves the inbox past the events of the batch, parks the one that ended it again, and records the progress.
    async fn finish(
        &self,
        connection: &mut PgConnection,
        StreamStep { pending, inbox, .. }: StreamStep<'_>,
        batch: &ReplayBatch<H::Event>,
    ) -> Result<StreamState, BatchError> {
        let ids: Vec<_> = batch.rows.iter().map(|row| row.id).collect();
        let stream = &pending.stream;
        let applied = i64::try_from(batch.applied()).unwrap_or(i64::MAX);
        let mut progress = StepProgress { applied, ..StepProgress::default() };
        if let Some(failed) = &batch.failed {
            metrics::error(self.runner.context.projection, ErrorKind::Park);
            // Before the inbox moves: the event may be a discarded one, which is parked again.
            steps::park_again(&mut *connection, failed.id, &failed.fault).await?;
            progress.discarded = -i64::from(failed.was_discarded);
        }
        let stream_state =
            steps::finish_step(&mut *connection, inbox, stream, &ids, batch.revision(), batch.event_id())
                .await?;
        let outcome = match (&batch.failed, stream_state) {
            (Some(failed), _) => StepOutcome::Failed(&failed.fault.reason),
            (None, StreamState::Open) => StepOutcome::Done,
            (None, StreamState::Blocked) => StepOutcome::Waiting,
        };
        if !matches!(outcome, StepOutcome::Waiting) {
            steps::purge(&mut *connection).await?;
        }
        steps::record_progress(connection, self.runner.context.projection, pending, progress, outcome)
            .await?;
        Ok(stream_state)
    }
}
