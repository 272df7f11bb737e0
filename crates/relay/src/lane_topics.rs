//! The relay's own topics of a route.

/// The names of the relay's own topics of a route. Each of them is compacted and has one partition per lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneTopics {
    /// Checkpoints, and the lanes' reports of their status.
    pub checkpoint: String,
    /// Events that were selected and not relayed: parked, skipped or discarded.
    pub exceptions: String,
    /// Parked events.
    pub parked: String,
    /// Requests about parked events, and the lanes' answers.
    pub requests: String,
}

impl LaneTopics {
    /// All of them.
    pub fn names(&self) -> [&str; 4] {
        let Self { checkpoint, exceptions, parked, requests } = self;
        [checkpoint, exceptions, parked, requests]
    }
}
