//! The readers of a process, and the store that they read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqueduct_core::EventStore;

use crate::lane_id::LaneId;
use crate::reader::limits::Limits;
use crate::reader::readers::Readers;

/// The readers of `$all` that the lanes of a process share. Its tasks end with its lanes.
#[derive(Clone)]
pub(crate) struct SharedReaders {
    store: Arc<dyn EventStore>,
    state: Arc<Mutex<Readers>>,
}

impl SharedReaders {
    /// `lanes` are those of each route.
    pub(crate) fn new(store: Arc<dyn EventStore>, limits: Limits, lanes: u32) -> Self {
        Self { store, state: Arc::new(Mutex::new(Readers::new(limits, lanes))) }
    }

    pub(crate) fn store(&self) -> &dyn EventStore {
        &*self.store
    }

    /// A panic while it was held has ended its reader, and its lanes restart from their checkpoints.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Readers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane was assigned: a new reader waits for it, for a short time. The guard ends that.
    pub(crate) fn announce(&self, id: LaneId) -> Announced {
        self.lock().announce(id.clone());
        Announced { readers: self.clone(), id }
    }
}

/// A lane that was assigned.
pub(crate) struct Announced {
    readers: SharedReaders,
    id: LaneId,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.readers.lock().forget(&self.id);
    }
}
