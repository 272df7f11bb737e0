//! Which record of a stream came before.

use std::num::NonZeroUsize;

use aqueduct_core::{EventStore, RecordedEvent, Revision, StoreError, StreamName};
use lru::LruCache;

/// The last earlier event of a stream of which the route made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Previous {
    /// There is none: this is the stream's first.
    None,
    Revision(Revision),
    /// There was one, but the stream has been truncated or deleted: what it was can't be known.
    Hidden,
}

/// Remembers where streams are, so that the store need not be asked. The answer is a function of the store
/// and the route alone: a lane that remembers nothing gives the same.
pub(crate) struct KnownStreams {
    last: LruCache<StreamName, Revision>,
}

impl KnownStreams {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self { last: LruCache::new(capacity) }
    }

    /// What came before this event. Asks the store for a stream that is first met above its beginning.
    pub(crate) async fn before(
        &mut self,
        event: &RecordedEvent,
        store: &dyn EventStore,
    ) -> Result<Previous, StoreError> {
        // The route makes a record of every event of its streams: the one before is the one below.
        let Some(below) = event.revision.checked_sub(1) else { return Ok(Previous::None) };
        if self.last.get(&event.stream) == Some(&below) {
            return Ok(Previous::Revision(below));
        }
        let earlier = match store.read_stream_back(&event.stream, below, 1).await {
            // Its events are still in `$all` until the store is scavenged.
            Err(error) if error.is_stream_deleted() => return Ok(Previous::Hidden),
            earlier => earlier?,
        };
        Ok(earlier.first().map_or(Previous::Hidden, |earlier| Previous::Revision(earlier.revision)))
    }

    /// The event has become a record.
    pub(crate) fn passed(&mut self, event: &RecordedEvent) {
        match self.last.get_mut(&event.stream) {
            Some(last) => *last = event.revision,
            None => {
                self.last.put(event.stream.clone(), event.revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_core::testing::{Call, ScriptedStore};
    use aqueduct_core::{ErrorKind, ExpectedRevision, MemoryStore, NewEvent, StreamDeleted};
    use futures::StreamExt as _;

    use super::*;

    async fn store_with(streams: &[&str]) -> (MemoryStore, Vec<RecordedEvent>) {
        let store = MemoryStore::default();
        for stream in streams {
            let event = NewEvent {
                id: Default::default(),
                event_type: "E".to_owned(),
                data: Default::default(),
                metadata: Default::default(),
            };
            store.append(&(*stream).into(), ExpectedRevision::Any, &[event]).await.unwrap();
        }
        let all = store.subscribe_all(None).take(streams.len());
        let events = all.map(|item| match item.unwrap() {
            aqueduct_core::AllItem::Event(event) => event,
            aqueduct_core::AllItem::CaughtUp => panic!("more events were appended"),
        });
        let events = events.collect().await;
        (store, events)
    }

    #[tokio::test]
    async fn it_is_the_same_with_and_without_memory() {
        let (store, events) = store_with(&["a-1", "b-1", "a-1", "c-1", "a-1", "b-1"]).await;
        let expected = [None, None, Some(0), None, Some(1), Some(0)]
            .map(|it| it.map_or(Previous::None, Previous::Revision));
        for capacity in [1, 2, 9] {
            let mut known = KnownStreams::new(NonZeroUsize::new(capacity).unwrap());
            let mut found = Vec::new();
            for event in &events {
                found.push(known.before(event, &store).await.unwrap());
                known.passed(event);
            }
            assert_eq!(found, expected, "capacity {capacity}");
        }
    }

    #[tokio::test]
    async fn truncation_hides_it() {
        let (_, mut events) = store_with(&["a-1"]).await;
        let mut event = events.remove(0);
        event.revision = 7;
        let mut known = KnownStreams::new(NonZeroUsize::MIN);
        let before = known.before(&event, &MemoryStore::default()).await.unwrap();
        assert_eq!(before, Previous::Hidden);
    }

    /// Its earlier events are still in `$all`, and no operator could undo the deletion.
    #[tokio::test]
    async fn deletion_for_good_hides_it_but_no_other_refusal() {
        let (memory, events) = store_with(&["a-1", "a-1"]).await;
        let refusing = |call: Call<'_>, source| {
            Err(StoreError { kind: ErrorKind::Park, source, ..call.fails("refused") })
        };
        let tombstone = move |call: Call<'_>| refusing(call, Some(StreamDeleted.into()));
        let store = ScriptedStore::new(memory.clone()).before(tombstone);
        let mut known = KnownStreams::new(NonZeroUsize::MIN);
        assert_eq!(known.before(&events[1], &store).await.unwrap(), Previous::Hidden);

        let store = ScriptedStore::new(memory).before(move |call| refusing(call, None));
        known.before(&events[1], &store).await.unwrap_err();
    }
}
