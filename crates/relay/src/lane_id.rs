//! The identity of a lane.

use std::fmt;

/// A lane of a route, displayed as `orders/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneId {
    pub(crate) route: String,
    pub(crate) lane: u32,
}

impl LaneId {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        Self { route: route.to_owned(), lane }
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.route, self.lane)
    }
}
