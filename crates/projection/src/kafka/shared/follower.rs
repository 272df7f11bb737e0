//! A projection that receives records from the shared consumer.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::Sender;

use crate::inbox::ownership::Ownership;
use crate::record::Record;
use crate::record::partition::Partition;

/// Where the records for one session of a projection go.
#[derive(Debug)]
pub(crate) struct Follower {
    ownership: Arc<Ownership>,
    queue: Sender<Record>,
    let_go: Mutex<Vec<Partition>>,
}

/// The follower's queue is full, or its session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Follower {
    pub(crate) fn new(ownership: Arc<Ownership>, queue: Sender<Record>) -> Self {
        Self { ownership, queue, let_go: Mutex::default() }
    }

    pub(super) fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Gives it a record under the epoch of its own. What it has read already, or does not own, it does not receive.
    pub(super) fn give(&self, record: &Record) -> Result<(), QueueFull> {
        let room = self.queue.try_reserve().map_err(|_| QueueFull)?;
        if let Some((topic, epoch)) = self.ownership.take(&record.topic, record.partition, record.offset) {
            room.send(Record { topic, epoch, ..record.clone() });
        }
        Ok(())
    }

    /// It must read this partition through its own consumer again, from where it is.
    pub(super) fn let_go(&self, partition: &Partition) {
        self.let_go.lock().push(partition.clone());
    }

    /// The partitions that it was let go from since the last call.
    pub(super) fn take_let_go(&self) -> Vec<Partition> {
        std::mem::take(&mut *self.let_go.lock())
    }
}
