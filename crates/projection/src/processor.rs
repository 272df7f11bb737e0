//! A batch's way through the inbox, the handler and one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::ErrorKind;
use async_trait::async_trait;
use sqlx::{Acquire as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::batch::{Content, Entry, ReadError, Reader, describe};
use crate::handler::{ApplyError, Handler};
use crate::inbox::{self, Inboxes, Verdict};
use crate::ownership::{Advance, Ownership, advances};
use crate::postgres::error_kind;
use crate::status::{Board, Part};
use crate::{Decoder, Envelope, Record, backoff, metrics, parked, react, trace};

/// What a batch failed on, for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("postgres refused the inbox's statement")]
    Postgres(#[from] sqlx::Error),
    #[error("postgres did not answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    React(#[from] react::Stopped),
}

impl BatchError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(error) => error.source.kind,
            Self::Postgres(error) => match error_kind(error) {
                // None of the inbox's own values can be at fault.
                ErrorKind::Park => ErrorKind::Stop,
                kind => kind,
            },
            Self::Timeout(_) => ErrorKind::Retry,
            Self::Apply(error) => error.kind(),
            Self::React(_) => ErrorKind::Stop,
        }
    }
}

/// What became of the records of a committed batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Applied, those included that the projection passes over.
    pub applied: u64,
    /// Of those applied, how many did not say what came before them.
    pub unjudged: u64,
    /// Applied or parked before.
    pub duplicates: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Parked, gaps and followers included.
    pub parked: u64,
}

/// How a batch ended that did not fail.
pub(crate) enum Ending {
    Committed(Outcome),
    /// The process is to end, or its partitions were taken away: nothing of it was committed.
    Dropped,
}

/// A projection without the Kafka side, whatever its handler is.
#[async_trait]
pub(crate) trait Process: Send + Sync {
    /// Takes a batch to its end, retrying what may pass for as long as the batch is still ours.
    async fn process(&self, records: Vec<Record>) -> Result<Ending, BatchError>;
}

pub(crate) struct Processor<H> {
    pub(crate) handler: H,
    pub(crate) pool: PgPool,
    pub(crate) timeout: Duration,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) source: String,
    pub(crate) inboxes: Inboxes,
    pub(crate) ownership: Arc<Ownership>,
    /// Streams that a reactor works on at the same time.
    pub(crate) concurrency: usize,
    pub(crate) board: Board,
    pub(crate) shutdown: CancellationToken,
}

enum Attempt {
    Committed(Outcome),
    Lost(Vec<Advance>),
}

#[async_trait]
impl<H: Handler> Process for Processor<H> {
    async fn process(&self, records: Vec<Record>) -> Result<Ending, BatchError> {
        let started = Instant::now();
        let span = tracing::info_span!("project", projection = H::NAME, records = records.len());
        let partitions = advances(records.iter());
        let ending = self.run(records, &span).instrument(span.clone()).await?;
        self.board.solved(Part::Batch);
        match &ending {
            Ending::Committed(outcome) => metrics::committed(H::NAME, outcome, started.elapsed()),
            Ending::Dropped => self.ownership.give_up(&partitions),
        }
        Ok(ending)
    }
}

impl<H: Handler> Processor<H> {
    async fn run(&self, records: Vec<Record>, span: &tracing::Span) -> Result<Ending, BatchError> {
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            let read = self.insist(|| self.read(&record), || self.ownership.owns(&record)).await?;
            if let Some((inbox, envelope, content)) = read {
                entries.push(Entry::new(record, inbox, envelope, content));
            }
        }
        trace::link(span, entries.iter().filter_map(|entry| entry.envelope.as_ref()));
        if H::REACTS {
            let judge = || async { Ok(inbox::judge(&self.pool, &entries).await?) };
            let owns = || entries.iter().any(|entry| self.ownership.owns(&entry.record));
            let Some(verdicts) = self.insist(judge, owns).await? else { return Ok(Ending::Dropped) };
            if !react::react(self, &mut entries, &verdicts).await? {
                return Ok(Ending::Dropped);
            }
        }
        self.commit(entries).await
    }

    /// Repeats what may pass, until it does, or the process is to end, or it is not wanted any more (`None`).
    async fn insist<T, A: Future<Output = Result<T, BatchError>>>(
        &self,
        attempt: impl Fn() -> A,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<T>, BatchError> {
        let mut waits = backoff::waits();
        while wanted() && !self.shutdown.is_cancelled() {
            match attempt().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) if error.kind() == ErrorKind::Retry => {
                    self.failed(&error);
                    self.wait(&mut waits).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn failed(&self, error: &BatchError) {
        metrics::error(H::NAME, error.kind());
        let error = describe(error);
        tracing::warn!(projection = H::NAME, error, "batch failed, will be tried again");
        self.board.problem(Part::Batch, format!("retrying a batch: {error}"));
    }

    /// False: the process is to end.
    pub(crate) async fn wait(&self, waits: &mut impl Iterator<Item = Duration>) -> bool {
        let wait = waits.next().unwrap_or_default();
        self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }

    async fn read(&self, record: &Record) -> Result<(i32, Option<Envelope>, Content<H::Event>), BatchError> {
        let reader = Reader {
            decoder: &*self.decoder,
            projection: H::NAME,
            source: &self.source,
            ignores: H::IGNORES,
        };
        let (envelope, content) = reader.read(record).await?;
        let source = envelope.as_ref().map_or(&self.source, |envelope| &envelope.source);
        let inbox = self.inboxes.number(&self.pool, source, &record.topic).await?;
        Ok((inbox, envelope, content))
    }

    async fn commit(&self, mut entries: Vec<Entry<H::Event>>) -> Result<Ending, BatchError> {
        let mut waits = backoff::waits();
        let mut by_halves = false;
        loop {
            entries.retain(|entry| self.ownership.owns(&entry.record));
            if entries.is_empty() || self.shutdown.is_cancelled() {
                return Ok(Ending::Dropped);
            }
            let attempt = tokio::time::timeout(self.timeout, self.attempt(&mut entries, by_halves)).await;
            match attempt.unwrap_or(Err(BatchError::Timeout(self.timeout))) {
                Ok(Attempt::Committed(outcome)) => return Ok(Ending::Committed(outcome)),
                Ok(Attempt::Lost(lost)) => {
                    tracing::warn!(projection = H::NAME, partitions = ?lost, "partitions have another owner");
                    self.ownership.give_up(&lost);
                }
                Err(error) => match error.kind() {
                    // Which record it is, is not known: look for it.
                    ErrorKind::Park if !by_halves => by_halves = true,
                    ErrorKind::Retry => {
                        self.failed(&error);
                        if !self.wait(&mut waits).await {
                            return Ok(Ending::Dropped);
                        }
                    }
                    ErrorKind::Park | ErrorKind::Stop => return Err(error),
                },
            }
        }
    }

    /// One transaction. Where its end is unknown it is simply done again: the inbox knows what was applied.
    async fn attempt(&self, entries: &mut [Entry<H::Event>], by_halves: bool) -> Result<Attempt, BatchError> {
        let advances = advances(entries.iter().map(|entry| &entry.record));
        let mut transaction = self.pool.begin().await?;
        let lost = self.ownership.advance(&mut *transaction, &advances).await?;
        if !lost.is_empty() {
            transaction.rollback().await?;
            return Ok(Attempt::Lost(lost));
        }
        let mut outcome = Outcome::default();
        if by_halves {
            self.apply_by_halves(&mut transaction, entries, &mut outcome).await?;
        } else {
            self.apply(&mut transaction, entries, &mut outcome).await?;
        }
        transaction.commit().await?;
        let records = entries.iter().map(|entry| &entry.record);
        let records = records.map(|record| (Arc::clone(&record.topic), record.partition, record.epoch));
        self.ownership.committed(&advances, records);
        Ok(Attempt::Committed(outcome))
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        entries: &[Entry<H::Event>],
        outcome: &mut Outcome,
    ) -> Result<(), BatchError> {
        let verdicts = inbox::receive(&mut *connection, entries).await?;
        let judged = || entries.iter().zip(&verdicts);
        let applies = judged().filter(|(_, verdict)| verdict.applies());
        let events: Vec<_> = applies.filter_map(|(entry, _)| entry.event()).collect();
        if !events.is_empty() {
            self.handler.apply(&mut *connection, &events).await?;
        }
        for (entry, verdict) in judged() {
            outcome.count(*verdict);
            if verdict.parked().is_some() {
                self.park(&mut *connection, entry, *verdict, outcome).await?;
            }
        }
        Ok(())
    }

    async fn park(
        &self,
        connection: &mut PgConnection,
        entry: &Entry<H::Event>,
        verdict: Verdict,
        outcome: &mut Outcome,
    ) -> Result<(), BatchError> {
        if parked::park(connection, entry, verdict).await? {
            outcome.parked += 1;
            outcome.gaps += u64::from(verdict == Verdict::Gap);
            tracing::error!(
                projection = H::NAME,
                stream = entry.stream,
                reason = parked::reason(entry, verdict),
                "event parked"
            );
        } else {
            outcome.duplicates += 1;
        }
        Ok(())
    }

    /// Applies entries under savepoints: what fails is halved until the entry is alone that does not fit. It
    /// is parked, and so are its followers when their turn comes.
    async fn apply_by_halves(
        &self,
        connection: &mut PgConnection,
        entries: &mut [Entry<H::Event>],
        outcome: &mut Outcome,
    ) -> Result<(), BatchError> {
        // From, and up to but without; the last is taken first.
        let mut ranges = vec![(0, entries.len())];
        while let Some((from, to)) = ranges.pop() {
            let mut savepoint = connection.begin().await?;
            let mut part = Outcome::default();
            match self.apply(&mut savepoint, &entries[from..to], &mut part).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    outcome.add(part);
                }
                Err(error) if error.kind() == ErrorKind::Park => {
                    savepoint.rollback().await?;
                    let middle = from.midpoint(to);
                    if middle == from {
                        metrics::error(H::NAME, ErrorKind::Park);
                        entries[from].content = Content::Faulty(describe(&error));
                        // Once more, to be parked.
                        ranges.push((from, to));
                    } else {
                        ranges.extend([(middle, to), (from, middle)]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Outcome {
    fn count(&mut self, verdict: Verdict) {
        self.applied += u64::from(verdict.applies());
        self.unjudged += u64::from(verdict == Verdict::Unjudged);
        self.duplicates += u64::from(verdict == Verdict::Duplicate);
    }

    fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.unjudged += other.unjudged;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.parked += other.parked;
    }
}
