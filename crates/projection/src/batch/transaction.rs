//! The transaction of a batch.

use std::time::Duration;

use aqueduct_core::{ErrorKind, with_causes};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::batch::error::BatchError;
use crate::batch::outcome::Outcome;
use crate::batch::retry_gate::RetryGate;
use crate::batch::slow_event::{Activity, Backend, Cancelled};
use crate::batch::table_fault::{FailureReason, TableFaultDetector, TableState};
use crate::inbox::entry::{Content, Entry, Fault};
use crate::inbox::ownership::{OwnedPartition, Ownership, next_offsets};
use crate::inbox::park::{self, ParkOutcome};
use crate::inbox::verdict::{self, ParkingVerdict};
use crate::metrics;
use crate::model::error::ApplyError;
use crate::model::handler::{Handler, Probe};

/// Result of one attempt that did not fail.
pub(crate) enum Attempt {
    Committed(Outcome),
    /// These partitions have another owner now: nothing was committed.
    Lost(Vec<OwnedPartition>),
    /// The single statement cannot write the batch: nothing was committed.
    Refused,
}

/// What the table did with the rows of the entries that were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TableWrite {
    Accepted,
    /// No entry had an event to apply.
    Nothing,
}

/// How a transaction applies its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apply {
    /// At once.
    All,
    /// In halves, to find the events that cannot be applied and park them.
    Bisected,
    /// One by one, to find the event whose statement takes too long: halves would take too long, too.
    OneByOne,
}

/// Applies batches in transactions.
pub(crate) struct Transactions<H> {
    pub(crate) handler: H,
    pub(crate) pool: PgPool,
    pub(crate) timeout: Duration,
    pub(crate) table_faults: TableFaultDetector,
    pub(crate) single: RetryGate,
}

impl<H: Handler> Transactions<H> {
    /// Applies entries in one transaction. It can be repeated if its result is unknown, because the inbox stores what
    /// was applied.
    pub(crate) async fn attempt(
        &self,
        ownership: &Ownership,
        entries: &mut [Entry<H::Event>],
        apply: Apply,
    ) -> Result<Attempt, BatchError> {
        let mut connection = self.pool.acquire().await?;
        let attempt = self.transaction(&mut connection, ownership, entries, apply);
        let attempt = tokio::time::timeout(self.timeout, attempt).await.unwrap_or_else(|_| {
            // What is cut off may have begun a transaction: the connection is not used again.
            connection.close_on_drop();
            Err(BatchError::Timeout(self.timeout))
        });
        if let Err(error) = &attempt
            && error.is_stale_statement()
        {
            connection.clear_cached_statements().await?;
        }
        attempt
    }

    async fn transaction(
        &self,
        connection: &mut PgConnection,
        ownership: &Ownership,
        entries: &mut [Entry<H::Event>],
        apply: Apply,
    ) -> Result<Attempt, BatchError> {
        let offsets = next_offsets(entries.iter().map(|entry| &entry.record));
        let mut transaction = connection.begin().await?;
        let lost = ownership.store_offsets(&mut *transaction, &offsets).await?;
        if !lost.is_empty() {
            transaction.rollback().await?;
            return Ok(Attempt::Lost(lost));
        }
        let mut outcome = Outcome::default();
        match apply {
            Apply::All => {
                if self.apply(&mut transaction, entries, &mut outcome).await? == TableWrite::Accepted {
                    self.table_faults.record_success();
                }
            }
            Apply::Bisected => self.apply_ranges(&mut transaction, entries, &mut outcome, None).await?,
            Apply::OneByOne => {
                let backend = Backend::of(&mut transaction).await?;
                self.apply_ranges(&mut transaction, entries, &mut outcome, Some(backend)).await?;
            }
        }
        transaction.commit().await?;
        self.handler.forget();
        ownership.record_commit(&offsets);
        Ok(Attempt::Committed(outcome))
    }

    /// Receives entries in the inbox, applies those that are next of their streams, and parks those that must be.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        entries: &[Entry<H::Event>],
        outcome: &mut Outcome,
    ) -> Result<TableWrite, BatchError> {
        let verdicts = verdict::receive(&mut *connection, entries).await?;
        let checked = || entries.iter().zip(&verdicts);
        let applied = checked().filter(|(_, verdict)| verdict.applies());
        let events: Vec<_> = applied.filter_map(|(entry, _)| entry.event()).collect();
        if !events.is_empty() {
            self.handler.apply(&mut *connection, &events).await?;
        }
        for (entry, verdict) in checked() {
            outcome.count(*verdict);
            if let Some(verdict) = verdict.parks() {
                self.park(&mut *connection, entry, verdict, outcome).await?;
            }
        }
        Ok(if events.is_empty() { TableWrite::Nothing } else { TableWrite::Accepted })
    }

    /// The same, and what the backend was doing when it took long.
    async fn apply_watched(
        &self,
        connection: &mut PgConnection,
        entries: &[Entry<H::Event>],
        outcome: &mut Outcome,
        backend: Backend,
    ) -> (Result<TableWrite, BatchError>, Activity) {
        let mut applied = std::pin::pin!(self.apply(connection, entries, outcome));
        tokio::select! {
            biased;
            applied = &mut applied => (applied, Activity::Other),
            activity = backend.look(&self.pool) => (applied.await, activity),
        }
    }

    async fn park(
        &self,
        connection: &mut PgConnection,
        entry: &Entry<H::Event>,
        verdict: ParkingVerdict,
        outcome: &mut Outcome,
    ) -> Result<(), BatchError> {
        match park::park(connection, entry, verdict).await? {
            ParkOutcome::New if verdict == ParkingVerdict::Invalid && self.handler.halts_on_failure() => {
                return Err(BatchError::Failure {
                    record: entry.record.to_string(),
                    event: entry.envelope.as_ref().map_or("unknown", |envelope| &envelope.id).to_owned(),
                    reason: park::reason(entry, verdict),
                });
            }
            ParkOutcome::New => {
                outcome.parked += 1;
                outcome.gaps += u64::from(verdict == ParkingVerdict::Gap);
                tracing::error!(
                    projection = self.handler.name(),
                    stream = entry.stream(),
                    error = park::reason(entry, verdict),
                    "event parked"
                );
            }
            ParkOutcome::Duplicate => outcome.duplicates += 1,
        }
        Ok(())
    }

    /// Applies entries under savepoints: a range that fails is split until the entry at fault is alone. That one
    /// is parked, and then so are the later events of its stream. Returns an error if the table is at fault.
    ///
    /// With a backend, that of the connection, each entry is alone from the beginning.
    async fn apply_ranges(
        &self,
        connection: &mut PgConnection,
        entries: &mut [Entry<H::Event>],
        outcome: &mut Outcome,
        backend: Option<Backend>,
    ) -> Result<(), BatchError> {
        // Start and end (exclusive) of the ranges; the last one is next.
        let mut ranges = match backend {
            None => vec![(0, entries.len())],
            Some(_) => (0..entries.len()).rev().map(|entry| (entry, entry + 1)).collect(),
        };
        let mut accepted = false;
        let mut rejected = Vec::new();
        let mut last_rejection = None;
        while let Some((start, end)) = ranges.pop() {
            let mut savepoint = connection.begin().await?;
            let mut part = Outcome::default();
            let (applied, activity) = match backend {
                None => (self.apply(&mut savepoint, &entries[start..end], &mut part).await, Activity::Other),
                Some(backend) => {
                    self.apply_watched(&mut savepoint, &entries[start..end], &mut part, backend).await
                }
            };
            match applied {
                Ok(write) => {
                    savepoint.commit().await?;
                    outcome.add(part);
                    accepted |= write == TableWrite::Accepted;
                }
                Err(BatchError::Apply(error)) if error.kind() == ErrorKind::Park => {
                    savepoint.rollback().await?;
                    let middle = start.midpoint(end);
                    if middle > start {
                        ranges.extend([(middle, end), (start, middle)]);
                        continue;
                    }
                    metrics::error(self.handler.name(), ErrorKind::Park);
                    entries[start].content =
                        Content::Invalid(Fault { code: error.code(), reason: with_causes(&error) });
                    match FailureReason::of(&error) {
                        Some(reason) => rejected.push((reason, entries[start].stream().to_owned())),
                        // The code failed before Postgres was asked: that says nothing about the table.
                        None => accepted = true,
                    }
                    last_rejection = Some(error);
                    // Process the entry again: now it is invalid and will be parked.
                    ranges.push((start, end));
                }
                Err(BatchError::Apply(source)) if source.is_cancelled() && backend.is_some() => {
                    let record = entries[start].record.to_string();
                    let cancelled = Cancelled { record, entry: start, activity, source };
                    return Err(BatchError::Cancelled(Box::new(cancelled)));
                }
                Err(error) => return Err(error),
            }
        }
        if accepted {
            self.table_faults.record_success();
        } else if let Some(source) = last_rejection {
            let table = self.probe(connection, &rejected).await?;
            if let Some(streams) = self.table_faults.record_failure(rejected, table) {
                return Err(BatchError::EveryRow { streams, source });
            }
        }
        Ok(())
    }

    /// Lets an entry be parked whose statement takes too long. Returns an error if the table is at fault, because no event has
    /// been applied for several streams.
    pub(crate) fn give_up(&self, entry: &mut Entry<H::Event>, source: ApplyError) -> Result<(), BatchError> {
        metrics::error(self.handler.name(), ErrorKind::Park);
        entry.content = Content::Invalid(Fault { code: source.code(), reason: with_causes(&source) });
        let rejected = FailureReason::of(&source).map(|reason| (reason, entry.stream().to_owned()));
        match self.table_faults.record_failure(rejected, TableState::Unprobed) {
            Some(streams) => Err(BatchError::EveryRow { streams, source }),
            None => Ok(()),
        }
    }

    /// Finds out whether the table accepts a row that it contains. Returns an error if it rejects that row for a reason
    /// for which it also rejected events: then no event is at fault.
    async fn probe(
        &self,
        connection: &mut PgConnection,
        rejected: &[(FailureReason, String)],
    ) -> Result<TableState, BatchError> {
        let mut savepoint = connection.begin().await?;
        let probe = self.handler.probe(&mut savepoint).await;
        savepoint.rollback().await?;
        match probe {
            Ok(Probe::Accepted) => Ok(TableState::Sound),
            Ok(Probe::NoRow) => Ok(TableState::Unknown),
            Ok(Probe::Impossible) => Ok(TableState::Unprobed),
            Err(source) if source.kind() != ErrorKind::Park => Err(source.into()),
            Err(source) => {
                let reason = FailureReason::of(&source);
                if rejected.iter().any(|(rejection, _)| Some(rejection) == reason.as_ref()) {
                    Err(BatchError::ExistingRow { source })
                } else {
                    Ok(TableState::Unknown)
                }
            }
        }
    }
}
