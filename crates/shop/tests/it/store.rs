//! Event stores and schemas for the tests.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use aqueduct::testing::{Call, ScriptedStore};
use aqueduct::{Codec, Command, Commands, EventBus, EventStore, MemoryStore, RecordedEvent, SchemaSet};

/// The schemas in the repository.
pub(crate) fn schemas() -> Arc<SchemaSet> {
    static SCHEMAS: LazyLock<Arc<SchemaSet>> = LazyLock::new(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");
        Arc::new(SchemaSet::load(folder).unwrap())
    });
    Arc::clone(&SCHEMAS)
}

/// Commands as a process of its own would have them: nothing cached, nobody on the bus.
pub(crate) fn commands<A: aqueduct::Aggregate>(store: &TestStore) -> Arc<Commands<A>>
where
    A::Command: Command,
{
    commands_with(store, schemas(), EventBus::default())
}

pub(crate) fn commands_with<A: aqueduct::Aggregate>(
    store: &TestStore,
    codec: Arc<dyn Codec>,
    bus: EventBus,
) -> Arc<Commands<A>>
where
    A::Command: Command,
{
    Arc::new(Commands::new(store.port(), codec, Arc::new(bus)))
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

    /// The store as the services see it.
    fn port(&self) -> Arc<dyn EventStore> {
        let broken = Arc::clone(&self.broken);
        Arc::new(ScriptedStore::new(self.memory.clone()).before(move |call| match call {
            Call::Append(stream)
                if broken.lock().unwrap().iter().any(|it| stream.as_str().starts_with(it)) =>
            {
                Err(call.fails("broken on purpose"))
            }
            _ => Ok(()),
        }))
    }

    /// How many events there are.
    pub(crate) async fn count(&self) -> u64 {
        self.memory.last_position().await.unwrap().map_or(0, |last| last.commit + 1)
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
