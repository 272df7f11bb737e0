//! Event stores and schemas for the tests.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use aqueduct_core::{
    AllItem, AppendError, Appended, Codec, ErrorKind, EventBus, EventStore, ExpectedRevision, MemoryStore,
    NewEvent, Position, RecordedEvent, Revision, StoreError, StreamName,
};
use aqueduct_schema::SchemaSet;
use aqueduct_shop::{Command, Commands};
use async_trait::async_trait;
use futures::stream::BoxStream;

/// The schemas in the repository.
pub(crate) fn schemas() -> Arc<SchemaSet> {
    static SCHEMAS: LazyLock<Arc<SchemaSet>> = LazyLock::new(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");
        Arc::new(SchemaSet::load(folder).unwrap())
    });
    Arc::clone(&SCHEMAS)
}

/// Commands as a process of its own would have them: nothing cached, nobody on the bus.
pub(crate) fn commands<A: aqueduct_core::Aggregate>(store: &TestStore) -> Arc<Commands<A>>
where
    A::Command: Command,
{
    commands_with(store, schemas(), EventBus::default())
}

pub(crate) fn commands_with<A: aqueduct_core::Aggregate>(
    store: &TestStore,
    codec: Arc<dyn Codec>,
    bus: EventBus,
) -> Arc<Commands<A>>
where
    A::Command: Command,
{
    Arc::new(Commands::new(Arc::new(store.clone()), codec, Arc::new(bus)))
}

/// A store in memory whose appends to chosen streams fail. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct TestStore {
    memory: MemoryStore,
    broken: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl TestStore {
    /// Appends to streams that begin with this fail, as if the server were gone.
    pub(crate) fn break_streams(&self, prefix: &'static str) {
        self.broken.lock().unwrap().insert(prefix);
    }

    pub(crate) fn repair(&self) {
        self.broken.lock().unwrap().clear();
    }

    /// The events of a stream.
    pub(crate) async fn stream(&self, stream: &str) -> Vec<RecordedEvent> {
        self.memory.read_stream(&stream.into(), 0, usize::MAX).await.unwrap()
    }

    /// Types of a stream's events.
    pub(crate) async fn types(&self, stream: &str) -> Vec<String> {
        self.stream(stream).await.into_iter().map(|event| event.event_type).collect()
    }

    /// Data of a stream's last event.
    pub(crate) async fn last(&self, stream: &str) -> serde_json::Value {
        let events = self.stream(stream).await;
        serde_json::from_slice(&events.last().expect("an event").data).unwrap()
    }
}

#[async_trait]
impl EventStore for TestStore {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        if self.broken.lock().unwrap().iter().any(|prefix| stream.as_str().starts_with(prefix)) {
            return Err(AppendError::Store(StoreError {
                operation: "append",
                subject: stream.to_string(),
                problem: "broken on purpose".into(),
                kind: ErrorKind::Retry,
                source: None,
            }));
        }
        self.memory.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.memory.read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.memory.read_stream_back(stream, from, limit).await
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        self.memory.subscribe_all(after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.memory.last_position().await
    }
}
