//! Which events a lane gets from a reader.

use aqueduct_core::RecordedEvent;

use crate::lane::route_selector::RouteSelector;

/// Which events are a lane's: those that its route selects and whose stream belongs to the lane.
#[derive(Debug)]
pub(crate) struct LaneFilter {
    pub(crate) selector: RouteSelector,
    /// Number of the lane.
    pub(crate) lane: u32,
}

impl LaneFilter {
    /// Whether the event is the lane's. `lane` is the one that the event's stream belongs to: computed once for all lanes.
    pub(crate) fn takes(&self, event: &RecordedEvent, lane: u32) -> bool {
        self.lane == lane && self.selector.selects(event)
    }
}
