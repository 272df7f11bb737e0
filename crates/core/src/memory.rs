//! An event store in memory, for tests of domain code.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::envelope::{ContentType, NewEvent, RecordedEvent};
use crate::ids::{Revision, StreamName};
use crate::position::Position;
use crate::store::{AllItem, AppendError, Appended, EventStore, ExpectedRevision, StoreError};

/// [`EventStore`] without a server. Events live as long as the value; clones share them. It checks expected
/// revisions, but does not implement duplicate event ids, soft deletes or truncation.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    log: Arc<RwLock<Log>>,
    length: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Log {
    all: Vec<RecordedEvent>,
    streams: HashMap<StreamName, Vec<usize>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { log: Arc::default(), length: watch::Sender::new(0) }
    }
}

impl MemoryStore {
    /// `append` pushes its events under one write lock and cannot panic between two of them, so a poisoned lock still
    /// guards a consistent log.
    fn read<T>(&self, f: impl FnOnce(&Log) -> T) -> T {
        f(&self.log.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl MemoryStore {
    /// [`EventStore::append`], as a writer that declares its data to be of this type.
    pub fn append_as(
        &self,
        content_type: ContentType,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let count = log.streams.get(stream).map_or(0, Vec::len);
        let actual = (count as Revision).checked_sub(1);
        if expected != ExpectedRevision::Any && expected != ExpectedRevision::after(actual) {
            return Err(AppendError::WrongExpectedRevision { stream: stream.clone(), expected, actual });
        }
        for event in events {
            let place = log.all.len();
            let places = log.streams.entry(stream.clone()).or_default();
            places.push(place);
            let revision = places.len() as Revision - 1;
            log.all.push(RecordedEvent {
                stream: stream.clone(),
                revision,
                position: Position::at(place as u64),
                id: event.id,
                event_type: event.event_type.clone(),
                content_type,
                data: event.data.clone(),
                metadata: event.metadata.clone(),
                created: Timestamp::UNIX_EPOCH,
            });
        }
        self.length.send_replace(log.all.len());
        Ok(Appended {
            revision: (count + events.len()).saturating_sub(1) as Revision,
            position: Position::at(log.all.len().saturating_sub(1) as u64),
        })
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        self.append_as(ContentType::Json, stream, expected, events)
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.read(|log| {
            let places = log.streams.get(stream).map_or(&[][..], Vec::as_slice);
            places.iter().skip(from as usize).take(limit).map(|&place| log.all[place].clone()).collect()
        }))
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.read(|log| {
            let places = log.streams.get(stream).map_or(&[][..], Vec::as_slice);
            let end = places.len().min((from as usize).saturating_add(1));
            places[..end].iter().rev().take(limit).map(|&place| log.all[place].clone()).collect()
        }))
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        let start = after.map_or(0, |position| position.commit as usize + 1);
        let state = (self.clone(), self.length.subscribe(), start, false);
        futures::stream::unfold(state, |(store, mut length, next, caught_up)| async move {
            if let Some(event) = store.read(|log| log.all.get(next).cloned()) {
                return Some((Ok(AllItem::Event(event)), (store, length, next + 1, false)));
            }
            if !caught_up {
                return Some((Ok(AllItem::CaughtUp), (store, length, next, true)));
            }
            length.wait_for(|length| *length > next).await.ok()?;
            let event = store.read(|log| log.all.get(next).cloned())?;
            Some((Ok(AllItem::Event(event)), (store, length, next + 1, true)))
        })
        .boxed()
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        Ok(self.read(|log| log.all.last().map(|event| event.position)))
    }
}
