//! Look-ups of previous revisions, where a relay remembers few streams. The numbers of the guarantees are those of
//! `crates/aqueduct/docs/guarantees.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aqueduct_core::{
    AllItem, AppendError, Appended, EventStore, ExpectedRevision, MemoryStore, NewEvent, Position,
    RecordedEvent, Revision, StoreError, StreamName,
};
use aqueduct_relay::header;
use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::support::{World, shared_stack};

/// A store that takes some time for each look-up.
struct SlowStore {
    store: MemoryStore,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

#[async_trait]
impl EventStore for SlowStore {
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
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.store.read_stream_back(stream, from, limit).await
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        self.store.subscribe_all(after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.store.last_position().await
    }
}

/// Guarantees 3 and 4: a lane that has restarted remembers nothing. It asks the store about several streams at once, and each
/// record names the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_lane_looks_several_streams_up_at_once() {
    const STREAMS: usize = 100;
    let mut world = World::new(shared_stack().await).await;
    world.append_notes(STREAMS, STREAMS).await;
    let first = world.start();
    world.assert_complete(STREAMS).await;
    first.stop().await;

    world.append_notes(STREAMS, 3 * STREAMS).await;
    world.options.known_streams = 1.try_into().unwrap();
    let (store, in_flight, most_in_flight) = (world.store.clone(), 0.into(), 0.into());
    let store = Arc::new(SlowStore { store, in_flight, most_in_flight });
    let second = world.start_on(store.clone(), world.options.clone());
    for record in world.assert_complete(4 * STREAMS).await {
        let previous: i64 = record.headers[header::PREVIOUS_REVISION].parse().unwrap();
        assert_eq!(previous + 1, record.revision() as i64, "{}", record.key);
    }
    let most = store.most_in_flight.load(Ordering::Relaxed);
    assert!((8..=17).contains(&most), "{most} look-ups in flight");
    second.stop().await;
}
