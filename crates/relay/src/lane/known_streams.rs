//! The last relayed revisions of streams, in memory.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use aqueduct_core::{RecordedEvent, Revision, StreamName};

/// The last relayed revisions of the streams that were relayed last.
///
/// A stream was relayed lately, or before that. When half of the capacity is relayed lately, those of before are
/// forgotten, and the others become those of before. A list in the order of use moves three entries of memory at each
/// event, and most of the time was spent there.
pub(crate) struct KnownStreams {
    lately: HashMap<StreamName, Revision>,
    before: HashMap<StreamName, Revision>,
    half: usize,
}

impl KnownStreams {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        let half = capacity.get().div_ceil(2);
        Self { lately: HashMap::new(), before: HashMap::new(), half }
    }

    pub(crate) fn last(&self, stream: &StreamName) -> Option<Revision> {
        self.lately.get(stream).or_else(|| self.before.get(stream)).copied()
    }

    /// The event has become a record.
    pub(crate) fn relayed(&mut self, event: &RecordedEvent) {
        if let Some(last) = self.lately.get_mut(&event.stream) {
            *last = event.revision;
            return;
        }
        if self.lately.len() == self.half {
            std::mem::swap(&mut self.lately, &mut self.before);
            self.lately.clear();
        }
        self.lately.insert(event.stream.clone(), event.revision);
    }
}
