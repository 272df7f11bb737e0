//! The events of the store, as they are appended.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use aqueduct_core::{AllItem, EventStore, Position, StoreError, StreamName};
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Subscribes to `$all` and counts the events of each category.
pub(crate) struct Tail {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

/// When each customer's registration was appended, by the store's clock.
pub(crate) type Registered = Arc<RwLock<HashMap<StreamName, Timestamp>>>;

/// The store so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Events per category, system streams left out.
    pub(crate) events: HashMap<String, u64>,
    /// The last event received.
    pub(crate) position: Option<Position>,
    /// When each customer was registered: the start of its latency.
    pub(crate) registered: Registered,
    /// Why the tail ended, if it did.
    pub(crate) failed: Option<Arc<StoreError>>,
}

impl Seen {
    /// All events of the shop.
    pub(crate) fn total(&self) -> u64 {
        self.events.values().sum()
    }

    /// Events of these categories.
    pub(crate) fn of(&self, categories: &[&str]) -> u64 {
        categories.iter().filter_map(|category| self.events.get(*category)).sum()
    }
}

impl Tail {
    /// Subscribes from the first event.
    pub(crate) fn start(store: Arc<dyn EventStore>) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            let mut all = store.subscribe_all(None);
            while let Some(item) = all.next().await {
                match item {
                    Ok(AllItem::Event(event)) if event.stream.is_system() => {
                        sender.send_modify(|seen| seen.position = Some(event.position));
                    }
                    Ok(AllItem::Event(event)) => sender.send_modify(|seen| {
                        let category = event.stream.category();
                        match seen.events.get_mut(category) {
                            Some(count) => *count += 1,
                            None => drop(seen.events.insert(category.to_owned(), 1)),
                        }
                        seen.position = Some(event.position);
                        if category == "user"
                            && let Ok(mut registered) = seen.registered.write()
                        {
                            registered.insert(event.stream.clone(), event.created);
                        }
                    }),
                    Ok(AllItem::CaughtUp | AllItem::Resubscribed) => {}
                    Err(error) => sender.send_modify(|seen| seen.failed = Some(Arc::new(error))),
                }
            }
        });
        Self { seen, task }
    }

    /// The store so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}
