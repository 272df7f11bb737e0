//! The readers of a process, with the tasks that read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqueduct_core::{EventStore, Position};
use tokio::time::Instant;

use crate::lane_id::LaneId;
use crate::reader::feed::LaneFeed;
use crate::reader::filter::LaneFilter;
use crate::reader::limits::Limits;
use crate::reader::readers::{ReaderKey, Readers};
use crate::reader::task;

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

    /// The events of a lane after `place`. The lane leaves its reader when the feed is dropped.
    pub(crate) fn feed(&self, id: &LaneId, filter: LaneFilter, place: Option<Position>) -> LaneFeed {
        let (key, wake, starts) = self.lock().add(id, filter, place, Instant::now());
        self.start(starts);
        LaneFeed::new(self.clone(), key, wake, place)
    }

    /// Starts the task of a reader.
    pub(crate) fn start(&self, reader: Option<ReaderKey>) {
        if let Some(reader) = reader {
            tokio::spawn(task::run(self.clone(), reader));
        }
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
