//! The events that wait for a lane.

use std::collections::VecDeque;

use aqueduct_core::RecordedEvent;
use tokio::time::Instant;

/// What an event takes in memory beside its texts.
const EVENT_BYTES: usize = size_of::<RecordedEvent>();

/// The events that wait for a lane, with their size.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<RecordedEvent>,
    /// Bytes of the events.
    bytes: usize,
    /// Bytes of what was taken last: the lane may still have it.
    taken: usize,
    took_at: Instant,
}

impl Queue {
    pub(crate) fn new(now: Instant) -> Self {
        Self { events: VecDeque::new(), bytes: 0, taken: 0, took_at: now }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When something was last taken.
    pub(crate) fn took_at(&self) -> Instant {
        self.took_at
    }

    /// Whether there is no room for another event. An event that waits alone may be of any size.
    pub(crate) fn is_full(&self, event: &RecordedEvent, share: usize) -> bool {
        !self.events.is_empty() && self.bytes + self.taken + size(event) > share
    }

    pub(crate) fn push(&mut self, event: RecordedEvent) {
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    /// Takes up to `count` events.
    pub(crate) fn take(&mut self, count: usize, now: Instant) -> VecDeque<RecordedEvent> {
        let taken: VecDeque<_> = self.events.drain(..count.min(self.events.len())).collect();
        self.taken = taken.iter().map(size).sum();
        self.bytes -= self.taken;
        self.took_at = now;
        taken
    }
}

/// Bytes of an event in memory.
fn size(event: &RecordedEvent) -> usize {
    EVENT_BYTES
        + event.data.len()
        + event.metadata.len()
        + event.stream.as_str().len()
        + event.event_type.len()
}
