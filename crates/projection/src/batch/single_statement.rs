//! Writes a batch without a verdict for each record: by one statement, or one before those of SQL files.

use aqueduct_core::{ErrorKind, with_causes};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Connection as _, PgConnection, Postgres};

use crate::batch::error::BatchError;
use crate::batch::outcome::Outcome;
use crate::batch::transaction::{Attempt, Transactions};
use crate::inbox::chain::Chain;
use crate::inbox::entry::Entry;
use crate::inbox::ownership::{Ownership, next_offsets};
use crate::inbox::statement;
use crate::metrics;
use crate::model::error::ApplyError;
use crate::model::handler::Handler;
use crate::model::table_change::{NoChange, TableChange};
use crate::postgres::error::is_stale_statement;
use crate::record::envelope::Envelope;

/// SQLSTATEs that the statement raises, see `0009_single_statement.sql`.
const OTHER_OWNER: &str = "AQ001";
const NOT_AS_EXPECTED: &str = "AQ002";

/// Why nothing was written.
enum Refusal {
    /// A transaction must write the batch, for this reason: the label of a metric.
    Reason(&'static str),
    /// The outcome is unknown, or Postgres cannot be reached.
    Error(BatchError),
}

impl<H: Handler> Transactions<H> {
    /// Writes entries without a verdict for each, if each of them is next of its stream. [`Attempt::Refused`]: nothing was
    /// written, and [`attempt`](Self::attempt) must do it. Whatever the statement expects of a row it compares, so that it is
    /// safe after an attempt whose outcome is unknown.
    pub(crate) async fn attempt_single(
        &self,
        ownership: &Ownership,
        entries: &[Entry<H::Event>],
    ) -> Result<Attempt, BatchError> {
        let refusal = match Chain::of(entries) {
            None => Refusal::Reason("verdict"),
            Some(_) if !self.single.may_try() => Refusal::Reason("recent_failure"),
            Some(chain) => match self.write_in_time(ownership, entries, &chain).await {
                Ok(outcome) => {
                    self.single.record_success();
                    return Ok(Attempt::Committed(outcome));
                }
                Err(refusal) => {
                    self.single.record_failure();
                    refusal
                }
            },
        };
        self.handler.forget();
        match refusal {
            Refusal::Reason(reason) => {
                metrics::slow_batch(self.handler.name(), reason);
                Ok(Attempt::Refused)
            }
            Refusal::Error(error) => Err(error),
        }
    }

    /// A statement that is cut off may have begun a transaction: its connection is not used again.
    async fn write_in_time(
        &self,
        ownership: &Ownership,
        entries: &[Entry<H::Event>],
        chain: &Chain<'_>,
    ) -> Result<Outcome, Refusal> {
        let mut connection = self.pool.acquire().await.map_err(|error| Refusal::Error(error.into()))?;
        let written = self.write_single(&mut connection, ownership, entries, chain);
        tokio::time::timeout(self.timeout, written).await.unwrap_or_else(|_| {
            connection.close_on_drop();
            Err(Refusal::Error(BatchError::Timeout(self.timeout)))
        })
    }

    async fn write_single(
        &self,
        connection: &mut PgConnection,
        ownership: &Ownership,
        entries: &[Entry<H::Event>],
        chain: &Chain<'_>,
    ) -> Result<Outcome, Refusal> {
        let events: Vec<_> = entries.iter().filter_map(Entry::event).collect();
        let change = self.handler.change(connection, &events).await?;
        let offsets = next_offsets(entries.iter().map(|entry| &entry.record));
        let TableChange { statement, arrays, rows } = change;
        let statement = statement::bind(statement, self.handler.name(), &offsets, chain);
        let statement = arrays.into_iter().fold(statement, |statement, array| statement.bind(array));
        let written = if H::APPLIES_AFTER_STATEMENT {
            self.write_and_apply(connection, statement, &events).await
        } else {
            statement.fetch_one(&mut *connection).await.map_err(ApplyError::from)
        };
        let xmin = match written {
            Ok(xmin) => xmin,
            Err(error) => return Err(refusal(connection, error).await),
        };
        ownership.record_commit(&offsets);
        match xmin.parse() {
            Ok(xmin) => self.handler.remember(rows, xmin),
            Err(_) => self.handler.forget(),
        }
        if !events.is_empty() {
            self.table_faults.record_success();
        }
        Ok(Outcome { applied: entries.len() as u64, ..Outcome::default() })
    }

    /// Runs the statement, which writes no table, and applies the events, in one transaction. Returns its id.
    async fn write_and_apply(
        &self,
        connection: &mut PgConnection,
        statement: QueryScalar<'_, Postgres, String, PgArguments>,
        events: &[(&H::Event, &Envelope)],
    ) -> Result<String, ApplyError> {
        let mut transaction = connection.begin().await?;
        let xmin = statement.fetch_one(&mut *transaction).await?;
        if !events.is_empty() {
            self.handler.apply(&mut transaction, events).await?;
        }
        transaction.commit().await?;
        Ok(xmin)
    }
}

/// What an error of the statement, or of what was applied after it, means. An error that a row caused is found again by the
/// slow path, with its row.
async fn refusal(connection: &mut PgConnection, error: ApplyError) -> Refusal {
    let postgres = error.postgres();
    let code = postgres.and_then(sqlx::Error::as_database_error).and_then(DatabaseError::code);
    match code.as_deref() {
        Some(OTHER_OWNER) => return Refusal::Reason("owner"),
        Some(NOT_AS_EXPECTED) => return Refusal::Reason("row"),
        _ => {}
    }
    if postgres.is_some_and(is_stale_statement) {
        return match connection.clear_cached_statements().await {
            Ok(()) => Refusal::Reason("table"),
            Err(error) => Refusal::Error(error.into()),
        };
    }
    // A transaction that was ended cannot be tried again: its events count as applied.
    if error.kind() == ErrorKind::Retry || matches!(error, ApplyError::TransactionEnded) {
        return Refusal::Error(error.into());
    }
    tracing::debug!(
        error = with_causes(&error),
        "the statement of a batch failed, a transaction finds the cause"
    );
    Refusal::Reason("rejected")
}

impl From<NoChange> for Refusal {
    fn from(reason: NoChange) -> Self {
        match reason {
            NoChange::Unsupported(reason) => Self::Reason(reason),
            NoChange::Failed(error) if error.kind() == ErrorKind::Retry => Self::Error(error.into()),
            NoChange::Failed(error) => {
                tracing::debug!(
                    error = with_causes(&error),
                    "a batch could not be prepared, a transaction finds the cause"
                );
                Self::Reason("rejected")
            }
        }
    }
}
