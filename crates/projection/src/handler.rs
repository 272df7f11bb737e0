//! What views, deltas and reactors are to the batch: one interface.

use aqueduct_core::{DomainEvent, ErrorKind};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::postgres::error_kind;
use crate::table::TableError;
use crate::{Envelope, ReactError};

/// The changing part of a projection.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    const NAME: &'static str;
    const IGNORES: &'static [&'static str];
    /// Whether [`react`](Self::react) does anything, so that the batch has to be judged before it.
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
}

/// A batch's effects could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("postgres refused the statement")]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(
        "a row of {table} can't be turned from or into JSON; the view's row and the table's columns differ"
    )]
    Row { table: &'static str, source: serde_json::Error },
    #[error("the projection's code panicked: {0}")]
    Panicked(String),
}

impl ApplyError {
    /// [`ErrorKind::Park`]: the fault of one record of the batch.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Postgres(error) => error_kind(error),
            Self::Table(_) | Self::Row { .. } => ErrorKind::Stop,
            Self::Panicked(_) => ErrorKind::Park,
        }
    }
}

/// Runs the projection's own code; a panic in it is an error of the event at hand.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, ApplyError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        ApplyError::Panicked(text.unwrap_or_else(|| "without a text".to_owned()))
    })
}
