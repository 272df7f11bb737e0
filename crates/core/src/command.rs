//! Commands to aggregates: requests, results and errors.

use uuid::Uuid;

use crate::codec::CodecError;
use crate::error::ErrorKind;
use crate::ids::{CommandId, StreamName};
use crate::position::Position;
use crate::store::{AppendError, StoreError};
use crate::stored_event::UnreadableEvent;

/// A command with its ids and trace context.
#[derive(Debug, Clone)]
pub struct CommandRequest<C> {
    /// Chosen by the caller; the same when the command is sent again.
    pub id: CommandId,
    /// Shared by everything that follows from one request.
    pub correlation_id: Uuid,
    /// The message that caused this command; the command's own id where there is none.
    pub causation_id: Uuid,
    /// W3C trace context to store with the events.
    pub traceparent: Option<String>,
    /// Fingerprint of the payload that the command was made from, see [`CommandRequest::with_payload`]; `None` where
    /// the same id always means the same command.
    pub fingerprint: Option<Uuid>,
    /// The command itself.
    pub command: C,
}

impl<C> CommandRequest<C> {
    /// A command that starts a correlation of its own, without a trace context.
    pub fn new(id: CommandId, command: C) -> Self {
        Self {
            id,
            correlation_id: id.as_uuid(),
            causation_id: id.as_uuid(),
            traceparent: None,
            fingerprint: None,
            command,
        }
    }

    /// Sets the fingerprint of the payload. It is stored with the events of the command. If the id comes again with
    /// another payload, the result is [`ExecuteError::CommandIdReused`] instead of the first result.
    pub fn with_payload(mut self, payload: &[u8]) -> Self {
        self.fingerprint = Some(Uuid::new_v5(&self.id.as_uuid(), payload));
        self
    }
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandResult<E> {
    /// The events that the command appended, now or when it was first sent. Empty if there was nothing to do.
    pub events: Vec<E>,
    /// The command had been executed before: this is its first result, and nothing was appended.
    pub duplicate: bool,
    /// Position in `$all` of the last event appended now; none for a duplicate or an empty result.
    pub position: Option<Position>,
}

/// Why a command was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<D: std::error::Error + 'static> {
    /// The aggregate refuses the command in its current state.
    #[error(transparent)]
    Domain(D),
    /// A stored event cannot be read; the error names it.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// A new event does not conform to its schema.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The command's id was used before, with another payload.
    #[error(
        "command id {id} was already used for another payload (event {reference}): send a new command with a new id"
    )]
    CommandIdReused {
        /// The id that both commands have.
        id: CommandId,
        /// The first event of the earlier command, `7@order-42`.
        reference: String,
    },
    /// A new event cannot be written as JSON.
    #[error("a new event of type {event_type} cannot be written as JSON")]
    Json {
        /// Its type.
        event_type: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Other writers kept appending to the stream between load and append, or the store kept failing.
    #[error("stream {stream}: command not executed after {attempts} attempts")]
    Exhausted {
        /// Stream that the command or the append was for, `order-42`.
        stream: StreamName,
        /// Number of attempts.
        attempts: usize,
        /// Error of the last attempt.
        source: AppendError,
    },
    /// The store failed, and a retry will not help.
    #[error(transparent)]
    Store(StoreError),
}

impl<D: std::error::Error> ExecuteError<D> {
    /// What to do about it. A refusal by the domain is [`ErrorKind::Park`]: the same command on the same state is
    /// refused again.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exhausted { .. } => ErrorKind::Retry,
            Self::Store(error) => error.kind(),
            Self::Unreadable(error) => error.kind(),
            Self::Json { .. } => ErrorKind::Stop,
            Self::Domain(_) | Self::Codec(_) | Self::CommandIdReused { .. } => ErrorKind::Park,
        }
    }
}
