//! The common interface of views, deltas and reactors.

use aqueduct_core::{DomainEvent, ErrorKind};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::inbox::entry::ReasonCode;
use crate::model::table::TableError;
use crate::postgres::error::error_kind;
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
}

/// Why an event could not be handled, and what to do with it.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ReactError {
    kind: ErrorKind,
    problem: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ReactError {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self { kind, problem: problem.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused_by(
        kind: ErrorKind,
        problem: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, problem: problem.into(), source: Some(source.into()) }
    }

    /// [`Retry`](ErrorKind::Retry): the event is retried in place, with backoff, for as long as it takes;
    /// [`Park`](ErrorKind::Park): it is parked with the later events of its stream;
    /// [`Stop`](ErrorKind::Stop): the projection stops with this error, and the event is delivered again after a
    /// restart.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// The rows of a batch could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("writing the rows failed")]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(
        "a row of {table} cannot be converted from or to JSON: the view's row type and the table's columns differ"
    )]
    Row { table: &'static str, source: serde_json::Error },
    #[error("the projection's code panicked: {0}")]
    Panicked(String),
}

impl ApplyError {
    /// [`ErrorKind::Park`]: one record of the batch is at fault.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Postgres(error) => error_kind(error),
            Self::Table(_) | Self::Row { .. } => ErrorKind::Stop,
            Self::Panicked(_) => ErrorKind::Park,
        }
    }

    /// Why the record is parked.
    pub(crate) fn code(&self) -> ReasonCode {
        match self {
            Self::Panicked(_) => ReasonCode::Panic,
            Self::Postgres(_) | Self::Table(_) | Self::Row { .. } => ReasonCode::Row,
        }
    }
}

/// Runs the projection's own code; a panic in it is an error of the current event.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, ApplyError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        ApplyError::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
    })
}
