//! The common interface of views, deltas and reactors.

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::model::error::{ApplyError, ReactError};
use crate::model::table_change::{NoChange, TableChange, WrittenRows};
use crate::record::envelope::Envelope;

/// What a projection does with the events of a batch.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    const NAME: &'static str;
    const IGNORED_TYPES: &'static [&'static str];
    /// Whether [`react`](Self::react) has effects, so that the batch must be checked before it.
    const REACTS: bool;
    type Event: DomainEvent;

    /// Effects outside of the transaction, before it.
    async fn react(&self, _event: &Self::Event, _envelope: &Envelope) -> Result<(), ReactError> {
        Ok(())
    }

    /// Effects in the transaction: all events of a batch, those of one stream in order.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&Self::Event, &Envelope)],
    ) -> Result<(), ApplyError>;

    /// What the events change, for the single statement of a batch. May read rows; writes nothing.
    async fn change(
        &self,
        connection: &mut PgConnection,
        events: &[(&Self::Event, &Envelope)],
    ) -> Result<TableChange, NoChange>;

    /// The transaction with this id has written these rows of a change.
    fn remember(&self, _rows: WrittenRows, _xmin: u32) {}

    /// The rows that are known may be stale, and the table may have been changed.
    fn forget(&self) {}

    /// Writes a row that the table contains to the table again, unchanged. The caller rolls it back: it only wants to
    /// know whether the table still accepts rows.
    async fn probe(&self, _connection: &mut PgConnection) -> Result<Probe, ApplyError> {
        Ok(Probe::NoRow)
    }
}

/// Result of a probe that Postgres did not reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Accepted,
    /// The table is empty, so that nothing is known about it.
    NoRow,
}

/// Runs the projection's own code; a panic in it is an error of the current event.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, ApplyError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        ApplyError::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
    })
}
