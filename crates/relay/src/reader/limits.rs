//! Bounds of the readers.

use std::time::Duration;

/// Bounds of the readers of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes that the events waiting in the queues of all lanes may have together. Each lane may use the same share of it; an
    /// event that is larger than the share may wait alone.
    pub(crate) buffer: usize,
    /// Readers of the process.
    pub(crate) readers: usize,
    /// Events that a lane takes from its queue at once.
    pub(crate) taken: usize,
    /// Behind the head of the store, how long a reader waits for a lane that takes nothing.
    pub(crate) patience: Duration,
    /// How long a new reader waits for further lanes that were assigned with the first one.
    pub(crate) gather: Duration,
    /// Distance in the store's log within which a lane does not need a reader of its own: reading that much takes about a
    /// second.
    pub(crate) near: u64,
    /// How often a lane that gets no events is told how far its reader is.
    pub(crate) show_place: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            buffer: 64 << 20,
            readers: 4,
            taken: 256,
            patience: Duration::from_secs(1),
            gather: Duration::from_millis(50),
            near: 32 << 20,
            show_place: Duration::from_millis(200),
        }
    }
}
