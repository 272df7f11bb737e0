//! The port to the event store.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::envelope::{NewEvent, RecordedEvent};
use crate::error::ErrorKind;
use crate::ids::{Revision, StreamName};
use crate::position::Position;

/// The state of the stream that a writer expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// Any state: the append is not checked.
    Any,
    /// The stream has no events.
    NoStream,
    /// The last event has this revision.
    Exact(Revision),
}

impl ExpectedRevision {
    /// The expectation of a writer who has read the stream up to `last`.
    pub fn after(last: Option<Revision>) -> Self {
        last.map_or(Self::NoStream, Self::Exact)
    }
}

/// The result of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Revision of the last appended event.
    pub revision: Revision,
    /// Position of the last appended event.
    pub position: Position,
}

/// An item of a subscription to `$all`.
#[derive(Debug, Clone, PartialEq)]
pub enum AllItem {
    /// The next event, in the order of positions. System events (`$…`) are included.
    Event(RecordedEvent),
    /// All stored events have been delivered; the following ones are live. May come again after a reconnect.
    CaughtUp,
    /// The subscription was interrupted and continues after the last event. Stored events follow until
    /// [`CaughtUp`](Self::CaughtUp). The store may be another one than before: compare its end with what was received.
    Resubscribed,
}

/// The event store. Implementations are called concurrently.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends all events or none. `Ok` means that they are durable. After a [`StoreError`] with
    /// [`ErrorKind::Retry`] the outcome is unknown: read the stream before you retry.
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError>;

    /// Reads up to `limit` events of a stream from revision `from` on, ascending. A stream that does not exist is
    /// empty.
    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Reads up to `limit` events of a stream from revision `from` on, descending.
    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Delivers every event after the given position, or from the first one with `None`, then live events, without
    /// end. Each event comes once and in order: after a connection loss the implementation resumes after the last
    /// event it delivered. An error item is final: a retry will not help.
    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>>;

    /// Position of the last event in `$all`, system events included.
    async fn last_position(&self) -> Result<Option<Position>, StoreError>;
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        (**self).append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        (**self).read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        (**self).read_stream_back(stream, from, limit).await
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        (**self).subscribe_all(after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        (**self).last_position().await
    }
}

/// An append failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer was first.
    #[error("stream {stream} is at revision {actual:?}, expected {expected:?}: read it again")]
    WrongExpectedRevision {
        /// Stream that the command or the append was for, `order-42`.
        stream: StreamName,
        /// What the caller expected.
        expected: ExpectedRevision,
        /// The actual revision, if the store returned it.
        actual: Option<Revision>,
    },
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store could not be reached, or refused the operation.
#[derive(Debug, thiserror::Error)]
#[error("event store: {operation} of {subject}: {problem}")]
pub struct StoreError {
    /// `append`, `read`, `subscribe`.
    pub operation: &'static str,
    /// The stream, or `$all`.
    pub subject: String,
    /// What is wrong and what to do.
    pub problem: String,
    /// Whether a retry can help.
    pub kind: ErrorKind,
    /// The client's own error, or [`StreamDeleted`].
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The [`source`](StoreError::source) of errors about a tombstoned stream. Its events may still be delivered by
/// [`EventStore::subscribe_all`].
#[derive(Debug, thiserror::Error)]
#[error("the stream is tombstoned: it was permanently deleted")]
pub struct StreamDeleted;

impl StoreError {
    /// Whether the stream cannot be read, or appended to, because it is tombstoned.
    pub fn is_stream_deleted(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<StreamDeleted>())
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
