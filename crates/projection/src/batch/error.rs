//! Why a batch could not be applied.

use std::time::Duration;

use aqueduct_core::ErrorKind;

use crate::batch::read::ReadError;
use crate::batch::slow_event::Cancelled;
use crate::model::error::{ApplyError, ReactError};
use crate::postgres::error::{error_kind, is_stale_statement};

/// A reactor returned an error that halts it.
#[derive(Debug, thiserror::Error)]
#[error("reactor {reactor} halted at record {record} (event {event})")]
pub(crate) struct ReactorHalted {
    pub(super) reactor: &'static str,
    pub(super) record: String,
    pub(super) event: String,
    pub(super) source: ReactError,
}

/// Why a batch could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("postgres failed")]
    Postgres(#[from] sqlx::Error),
    #[error("postgres did not answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(
        "postgres rejected the rows of {streams} consecutive streams for the same reason, so the table is at \
         fault and not an event: change the table back or adapt the projection, then restart"
    )]
    EveryRow { streams: usize, source: ApplyError },
    #[error(
        "postgres rejected an event's row, and for the same reason a row that the table contains, so the table is at \
         fault and not the event: change the table back or adapt the projection, then restart"
    )]
    ExistingRow { source: ApplyError },
    #[error(
        "record {record} (event {event}) cannot be applied, and on_failure is \"halt\" in projection.toml: {reason}"
    )]
    Failure { record: String, event: String, reason: String },
    #[error(transparent)]
    React(#[from] ReactorHalted),
    #[error(transparent)]
    Cancelled(Box<Cancelled>),
    #[error("the reaction to a parked event failed")]
    Reaction(#[source] ReactError),
}

impl BatchError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(error) => error.source.kind,
            Self::Postgres(error) => match error_kind(error) {
                // The inbox's own values are always valid.
                ErrorKind::Park => ErrorKind::Stop,
                kind => kind,
            },
            Self::Timeout(_) | Self::Cancelled(_) => ErrorKind::Retry,
            Self::Apply(error) => error.kind(),
            Self::EveryRow { .. } | Self::ExistingRow { .. } | Self::Failure { .. } | Self::React(_) => {
                ErrorKind::Stop
            }
            Self::Reaction(error) => error.kind(),
        }
    }

    /// Whether Postgres cancelled a statement that applies events.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Apply(error) => error.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn is_stale_statement(&self) -> bool {
        match self {
            Self::Postgres(error) => is_stale_statement(error),
            Self::Apply(error) => error.postgres().is_some_and(is_stale_statement),
            _ => false,
        }
    }
}
