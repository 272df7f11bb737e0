//! An event at which a lane waits.

use std::time::Duration;

use aqueduct_core::RecordedEvent;
use tokio::time::Instant;

use crate::record::reference::EventReference;

/// An event at which a lane waits.
pub(crate) struct BlockedEvent {
    pub(crate) event: RecordedEvent,
    /// Only an operator can help.
    pub(crate) is_halted: bool,
    /// The pause before the next attempt.
    pub(crate) pause: Duration,
    pub(crate) retry_at: Instant,
}

impl BlockedEvent {
    /// Whether this is the event. Its position says less: a store may give it another one in its stream than in `$all`.
    pub(crate) fn is_at(&self, event: &EventReference) -> bool {
        self.event.revision == event.revision && self.event.stream == event.stream
    }

    /// Whether the lane is halted at this event.
    pub(crate) fn is_halted_at(&self, event: &EventReference) -> bool {
        self.is_halted && self.is_at(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parked::ParkedEvent;

    #[test]
    fn a_halted_lane_is_known_by_the_event_and_not_by_its_position() {
        let reference = |text: &str| -> EventReference { text.parse().unwrap() };
        let blocked = |is_halted, commit| {
            let mut event = ParkedEvent::at(reference("7@a-1"), Default::default()).event;
            event.position.commit = commit;
            BlockedEvent { event, is_halted, pause: Duration::ZERO, retry_at: Instant::now() }
        };
        for position in [9, 1_000] {
            assert!(blocked(true, position).is_halted_at(&reference("7@a-1")));
        }
        assert!(!blocked(false, 9).is_halted_at(&reference("7@a-1")));
        assert!(blocked(false, 9).is_at(&reference("7@a-1")));
        assert!(!blocked(true, 9).is_halted_at(&reference("8@a-1")));
        assert!(!blocked(true, 9).is_halted_at(&reference("7@a-2")));
    }
}
