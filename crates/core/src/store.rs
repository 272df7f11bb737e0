//! The port to the event store.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{ErrorKind, NewEvent, Position, RecordedEvent, Revision, StreamName};

/// What the writer believes about the end of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// Nothing: append whatever is there.
    Any,
    /// The stream has no events.
    NoStream,
    /// The last event has this revision.
    Exact(Revision),
}

impl ExpectedRevision {
    /// What a writer who has seen the stream up to `last` expects.
    pub fn after(last: Option<Revision>) -> Self {
        last.map_or(Self::NoStream, Self::Exact)
    }
}

/// Where an append ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Revision of the last appended event.
    pub revision: Revision,
    /// Position of the last appended event.
    pub position: Position,
}

/// What comes out of a subscription to `$all`.
#[derive(Debug, Clone, PartialEq)]
pub enum AllItem {
    /// The next event, in the order of positions. System events (`$…`) come too.
    Event(RecordedEvent),
    /// All events known to the store have been delivered; what comes now is new. May come again after a
    /// reconnect.
    CaughtUp,
}

/// The event store, as the product needs it. Implementations are safe to share and are called concurrently.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends all events or none. `Ok` means durable in the store. After [`StoreError`] with
    /// [`ErrorKind::Retry`] the outcome is unknown: look into the stream before trying again.
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError>;

    /// Up to `limit` events of a stream from revision `from` on, ascending. A stream that does not exist is
    /// empty.
    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Up to `limit` events of a stream from revision `from` on, descending.
    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Every event after the given position (from the first one with `None`), then what is appended, without
    /// end. Each event comes once and in order: whatever happens to the connection, the implementation goes
    /// on after the last event it delivered. An error item is final and one that waiting does not cure.
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

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else was first.
    #[error("stream {stream} is not at the expected revision ({expected:?}) but at {actual:?}")]
    WrongExpectedRevision {
        /// The stream.
        stream: StreamName,
        /// What the writer believed.
        expected: ExpectedRevision,
        /// Where the stream is, where the store said so.
        actual: Option<Revision>,
    },
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
#[error("event store: {operation} of {subject}: {problem}")]
pub struct StoreError {
    /// `append`, `read`, `subscribe`.
    pub operation: &'static str,
    /// The stream, or `$all`.
    pub subject: String,
    /// What went wrong, and where it helps what to do.
    pub problem: String,
    /// Whether to try again.
    pub kind: ErrorKind,
    /// The client's own error, or [`StreamDeleted`].
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The [`source`](StoreError::source) that tells a stream deleted for good from other refusals. Its events may
/// still come out of [`EventStore::subscribe_all`].
#[derive(Debug, thiserror::Error)]
#[error("the stream is deleted for good (tombstone)")]
pub struct StreamDeleted;

impl StoreError {
    /// Whether the stream can't be read, or appended to, because it is deleted for good.
    pub fn is_stream_deleted(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<StreamDeleted>())
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
