//! What defines a lane: its route, its number and its topics.

use std::sync::Arc;

use aqueduct_kafka::Cluster;

use crate::lane_id::LaneId;
use crate::route::Route;
use crate::route_mapping::RouteMapping;

/// What defines a lane. It does not change while the relay runs.
#[derive(Debug, Clone)]
pub(crate) struct LaneDefinition {
    pub(crate) route: Route,
    /// Number of the lane.
    pub(crate) lane: u32,
    /// Lanes of the route.
    pub(crate) lanes: u32,
    /// `ce_source` of the records.
    pub(crate) source: String,
    pub(crate) checkpoint_topic: String,
    pub(crate) mapping: Arc<RouteMapping>,
}

impl LaneDefinition {
    pub(crate) fn new(
        cluster: &Cluster,
        route: Route,
        mapping: Arc<RouteMapping>,
        lane: u32,
        lanes: u32,
    ) -> Self {
        let checkpoint_topic = route.checkpoint_topic(&cluster.prefix);
        Self { route, lane, lanes, source: cluster.source.clone(), checkpoint_topic, mapping }
    }

    pub(crate) fn id(&self) -> LaneId {
        LaneId::new(&self.route.name, self.lane)
    }
}

#[cfg(test)]
impl LaneDefinition {
    /// Lane 0 of a route, with the default names of the cluster.
    pub(crate) fn first_of(route: Route, lanes: u32, events: crate::options::EventsOptions) -> Self {
        let options = crate::options::Options { events, ..Default::default() };
        let mapping = RouteMapping::new(&options, &route).unwrap();
        Self::new(&Cluster::default(), route, Arc::new(mapping), 0, lanes)
    }

    /// The only lane of a route of the category `order`.
    pub(crate) fn of_orders() -> Self {
        Self::first_of(Route::of_categories("orders", "t", ["order"]), 1, Default::default())
    }
}
