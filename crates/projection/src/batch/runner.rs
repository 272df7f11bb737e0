//! Runs a batch: reads its records, reacts, and commits, with retries.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use aqueduct_core::ErrorKind;
use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::backoff;
use crate::batch::context::{BatchContext, Wait};
use crate::batch::error::BatchError;
use crate::batch::outcome::Outcome;
use crate::batch::react::{self, BatchReaction};
use crate::batch::read::Reader;
use crate::batch::slow_event::SlowEvent;
use crate::batch::trace;
use crate::batch::transaction::{Apply, Attempt, Transactions};
use crate::batch::turn::{PreviousFailed, Turn};
use crate::inbox::Inboxes;
use crate::inbox::entry::{Content, Entry};
use crate::inbox::ownership::next_offsets;
use crate::inbox::verdict;
use crate::model::handler::Handler;
use crate::record::Record;
use crate::record::decode::Decoder;
use crate::record::envelope::Envelope;

/// Result of a batch that did not fail.
pub(crate) enum Completion {
    Committed(Outcome),
    /// The process is shutting down, or the batch's partitions have other owners: nothing was committed.
    Abandoned,
}

/// Processes batches with a handler whose type is erased.
#[async_trait]
pub(crate) trait RunBatch: Send + Sync {
    /// Processes a batch, retrying temporary errors while the batch's partitions are owned. Its records are read at once; its
    /// effects wait for its turn.
    async fn process(self: Arc<Self>, records: Vec<Record>, turn: Turn) -> Result<Completion, BatchError>;
}

pub(crate) struct BatchRunner<H> {
    pub(crate) context: BatchContext,
    pub(crate) transactions: Transactions<H>,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) source: String,
    pub(crate) inboxes: Inboxes,
    /// Held while a batch reacts: [`BatchContext::concurrency`] is the limit of all batches together.
    pub(crate) reacting: tokio::sync::Mutex<()>,
}

#[async_trait]
impl<H: Handler> RunBatch for BatchRunner<H> {
    async fn process(
        self: Arc<Self>,
        records: Vec<Record>,
        mut turn: Turn,
    ) -> Result<Completion, BatchError> {
        let started = Instant::now();
        let span =
            tracing::info_span!("project", projection = self.context.projection, records = records.len());
        let partitions = next_offsets(records.iter());
        let _running = self.context.begin();
        let completion = self.run(records, &mut turn, &span).instrument(span.clone()).await?;
        match &completion {
            Completion::Committed(outcome) => {
                outcome.record_metrics(self.context.projection, started.elapsed())
            }
            Completion::Abandoned => {
                self.context.ownership.give_up(partitions.iter().map(|next| &next.partition));
            }
        }
        turn.end();
        Ok(completion)
    }
}

impl<H: Handler> BatchRunner<H> {
    async fn run(
        self: &Arc<Self>,
        records: Vec<Record>,
        turn: &mut Turn,
        span: &tracing::Span,
    ) -> Result<Completion, BatchError> {
        let ownership = &self.context.ownership;
        let mut entries = self.read_in_task(records).await?;
        trace::link(span, entries.iter().filter_map(|entry| entry.envelope.as_ref()));
        if turn.begin().await == Err(PreviousFailed) {
            return Ok(Completion::Abandoned);
        }
        if H::REACTS {
            let _reacting = self.reacting.lock().await;
            let check = || async { Ok(verdict::check(&self.transactions.pool, &entries).await?) };
            let owns = || entries.iter().any(|entry| ownership.owns(&entry.record));
            let Some(verdicts) = self.retry(check, owns).await? else { return Ok(Completion::Abandoned) };
            let handler = &self.transactions.handler;
            match react::react(handler, &self.context, &mut entries, &verdicts).await? {
                BatchReaction::Done => {}
                BatchReaction::Abandoned => return Ok(Completion::Abandoned),
            }
        }
        self.commit(entries).await
    }

    /// Reads the records in a task of its own, so that one core reads a batch while another writes the one before.
    async fn read_in_task(
        self: &Arc<Self>,
        records: Vec<Record>,
    ) -> Result<Vec<Entry<H::Event>>, BatchError> {
        let runner = Arc::clone(self);
        // Aborts the task if this future is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move { runner.read_records(records).await }.in_current_span());
        match task.join_next().await {
            Some(Ok(read)) => read,
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is ending, and this task with it.
            Some(Err(_)) | None => pending().await,
        }
    }

    async fn read_records(&self, records: Vec<Record>) -> Result<Vec<Entry<H::Event>>, BatchError> {
        let ownership = &self.context.ownership;
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            // Nearly all are read at once, for which nothing of a retry is made ready.
            let read = match self.read(&record).await {
                Err(error) if error.kind() == ErrorKind::Retry => {
                    self.retry(|| self.read(&record), || ownership.owns(&record)).await?
                }
                read => Some(read?),
            };
            if let Some((inbox, envelope, content)) = read {
                entries.push(Entry::new(record, inbox, envelope, content));
            }
        }
        Ok(entries)
    }

    /// Repeats an attempt that fails temporarily. Returns `None` if the process is shutting down or the result is
    /// no longer wanted.
    async fn retry<T, A: Future<Output = Result<T, BatchError>>>(
        &self,
        attempt: impl Fn() -> A,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<T>, BatchError> {
        let mut delays = backoff::delays();
        while is_wanted() && !self.context.shutdown.is_cancelled() {
            match attempt().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) if error.kind() == ErrorKind::Retry => {
                    self.context.report_retry(&error);
                    self.context.wait(&mut delays).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Runs a part that waits for Postgres, for as long as the transaction of a batch may take. Returns `None` if the
    /// process is shutting down.
    pub(crate) async fn bounded<T>(
        &self,
        part: impl Future<Output = Result<T, BatchError>>,
    ) -> Result<Option<T>, BatchError> {
        let timeout = self.transactions.timeout;
        let part = tokio::time::timeout(timeout, part);
        let Some(done) = self.context.shutdown.run_until_cancelled(part).await else { return Ok(None) };
        done.unwrap_or(Err(BatchError::Timeout(timeout))).map(Some)
    }

    pub(crate) async fn read(
        &self,
        record: &Record,
    ) -> Result<(i32, Option<Envelope>, Content<H::Event>), BatchError> {
        let reader =
            Reader { decoder: &*self.decoder, handler: &self.transactions.handler, source: &self.source };
        let (envelope, content) = reader.read(record).await?;
        let source = envelope.as_ref().map_or(&self.source, |envelope| &envelope.source);
        let inbox = self.inboxes.id(&self.transactions.pool, source, &record.topic).await?;
        Ok((inbox, envelope, content))
    }

    async fn commit(&self, mut entries: Vec<Entry<H::Event>>) -> Result<Completion, BatchError> {
        let ownership = &self.context.ownership;
        let mut delays = backoff::delays();
        let (mut is_first, mut apply) = (true, Apply::All);
        let mut slow = SlowEvent::default();
        loop {
            let owned = ownership.partitions();
            entries.retain(|entry| owned.iter().any(|owned| owned.owns(&entry.record)));
            if entries.is_empty() || self.context.shutdown.is_cancelled() {
                return Ok(Completion::Abandoned);
            }
            let attempt = if std::mem::take(&mut is_first) {
                self.transactions.attempt_single(ownership, &entries).await
            } else {
                self.transactions.attempt(ownership, &mut entries, apply).await
            };
            match attempt {
                Ok(Attempt::Refused) => {}
                Ok(Attempt::Committed(outcome)) => return Ok(Completion::Committed(outcome)),
                Ok(Attempt::Lost(lost)) => {
                    tracing::warn!(projection = self.context.projection, partitions = ?lost, "partitions lost to another owner");
                    ownership.give_up(&lost);
                }
                Err(error) => match error.kind() {
                    // It is not known which record is at fault.
                    ErrorKind::Park if apply == Apply::All => apply = Apply::Bisected,
                    ErrorKind::Retry => {
                        self.context.report_retry(&error);
                        if error.is_cancelled() {
                            apply = Apply::OneByOne;
                        }
                        if let BatchError::Cancelled(cancelled) = error
                            && let Some(entry) = entries.get_mut(cancelled.entry)
                            && slow.count(&entry.record, cancelled.activity)
                        {
                            self.transactions.give_up(entry, cancelled.source)?;
                        }
                        if self.context.wait(&mut delays).await == Wait::Shutdown {
                            return Ok(Completion::Abandoned);
                        }
                    }
                    ErrorKind::Park | ErrorKind::Stop => return Err(error),
                },
            }
        }
    }
}
