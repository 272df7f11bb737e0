//! Streams that hold an event that does not fit.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Streams that are remembered, 16 MiB at most.
const MAX_STREAMS: usize = 1_000_000;

/// The streams of events that do not fit, and how many events follow in them: a route that parks the first parks
/// these too.
#[derive(Debug, Default)]
pub(super) struct BlockedStreams {
    /// Hashes of 64 bits: two of a million names have the same one once in 30 million stores.
    streams: HashSet<u64>,
    pub(super) followers: u64,
    /// Whether there were more streams than are remembered, so that not every follower was counted.
    pub(super) is_full: bool,
}

impl BlockedStreams {
    /// An event of the stream does not fit.
    pub(super) fn block(&mut self, stream: &str) {
        let hash = hash(stream);
        if self.streams.len() < MAX_STREAMS {
            self.streams.insert(hash);
        } else if !self.streams.contains(&hash) {
            self.is_full = true;
        }
    }

    /// An event of the stream fits.
    pub(super) fn pass(&mut self, stream: &str) {
        self.followers += u64::from(!self.streams.is_empty() && self.streams.contains(&hash(stream)));
    }
}

fn hash(stream: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    stream.hash(&mut hasher);
    hasher.finish()
}
