//! When reading began.

use std::sync::{Arc, Mutex, PoisonError};

use aqueduct_core::EventStore;
use aqueduct_core::testing::{Call, ScriptedStore};

use super::measured::{Measured, Moment};
use crate::Failure;

/// Notes when an event store was subscribed to for the first time: there the time of relay and pump begins, after both have
/// opened their producer.
pub(super) struct Stopwatch {
    store: Arc<dyn EventStore>,
    subscribed: Arc<Mutex<Option<Moment>>>,
}

impl Stopwatch {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        let subscribed = Arc::<Mutex<Option<Moment>>>::default();
        let noted = Arc::clone(&subscribed);
        let store = ScriptedStore::new(store).before(move |call| {
            if call == Call::SubscribeAll {
                noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Moment::now);
            }
            Ok(())
        });
        Self { store: Arc::new(store), subscribed }
    }

    /// The store that is watched.
    pub(super) fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
    }

    /// The next subscription is the first.
    pub(super) fn reset(&self) {
        *self.subscribed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the events took from the first subscription.
    pub(super) fn until(&self, end: Moment, events: usize) -> Result<Measured, Failure> {
        let subscribed = *self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        let subscribed = subscribed.ok_or("records were written before the store was read")?;
        Ok(Measured::between(subscribed, end, events))
    }
}
