//! When reading began.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aqueduct_core::{
    AllItem, AppendError, Appended, EventStore, ExpectedRevision, NewEvent, Position, RecordedEvent,
    Revision, StoreError, StreamName,
};
use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::Failure;

/// An event store that notes when it was last subscribed to: there the time of relay and pump begins, after
/// both have opened their producer.
pub(super) struct Stopwatch {
    store: Arc<dyn EventStore>,
    subscribed: Mutex<Option<Instant>>,
}

impl Stopwatch {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self { store, subscribed: Mutex::default() })
    }

    /// The time from the last subscription.
    pub(super) fn until(&self, end: Instant) -> Result<Duration, Failure> {
        let subscribed = *self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        let subscribed = subscribed.ok_or("records were written before the store was read")?;
        Ok(end.saturating_duration_since(subscribed))
    }
}

#[async_trait]
impl EventStore for Stopwatch {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        self.store.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read_stream_back(stream, from, limit).await
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        *self.subscribed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.store.subscribe_all(after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.store.last_position().await
    }
}
