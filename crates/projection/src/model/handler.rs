//! The common interface of views, deltas, projectors and reactors.

use std::any::Any;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::model::error::{ApplyError, ReactError};
use crate::model::table_change::{NoChange, TableChange, WrittenRows};
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;

/// What a projection does with the events of a batch.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Whether [`react`](Self::react) has effects, so that the batch must be checked before it.
    const REACTS: bool;
    /// Whether a batch that the single statement has written is applied by [`apply`](Self::apply), in the same transaction:
    /// what it does cannot be a part of that statement.
    const APPLIES_AFTER_STATEMENT: bool = false;
    type Event: Send + Sync + 'static;

    /// Name of the projection.
    fn name(&self) -> &'static str;

    /// What it does with events of a type.
    fn treats(&self, event_type: &str) -> Treatment;

    /// Whether an event that cannot be read or applied halts the projection, instead of being parked.
    fn halts_on_failure(&self) -> bool {
        false
    }

    /// What it reads the payload of an event of this type as, for messages.
    fn reader(&self, event_type: &str) -> String {
        format!("event type {event_type} of projection {}", self.name())
    }

    /// Reads the payload of an event of a type that it applies.
    fn read(
        &self,
        record: &Record,
        event_type: &str,
        payload: &Payload<'_>,
    ) -> Result<Self::Event, DecodeError>;

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

/// What a projection does with events of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Applies,
    Ignores,
    /// It does not know the type: the event is parked.
    Unknown,
}

impl Treatment {
    /// Of a projection that has an enum of its events, and names the types that it ignores.
    pub(crate) fn of<E: DomainEvent>(event_type: &str, ignored: &[&str]) -> Self {
        if ignored.contains(&event_type) {
            Self::Ignores
        } else if E::EVENT_TYPES.contains(&event_type) {
            Self::Applies
        } else {
            Self::Unknown
        }
    }
}

/// Result of a probe that Postgres did not reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Accepted,
    /// The table is empty, so that nothing is known about it.
    NoRow,
    /// The handler cannot write a row again.
    Impossible,
}

/// Runs the projection's own code; a panic in it is an error of the current event.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, ApplyError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).map_err(panicked)
}

/// The error of a panic.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> ApplyError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    ApplyError::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
}
