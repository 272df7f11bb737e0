//! The topics that hold what a route did not relay.

use std::sync::Arc;

use crate::error::LaneError;
use crate::kafka::reader::Reader;
use crate::lane_topics::LaneTopics;
use crate::route::{OnBadEvent, Route};

/// Names of the topics of exceptions, parked events and requests.
#[derive(Debug, Clone)]
pub(crate) struct ParkedTopics {
    pub(crate) exceptions: Arc<str>,
    pub(crate) parked: Arc<str>,
    pub(crate) requests: Arc<str>,
}

impl From<LaneTopics> for ParkedTopics {
    fn from(LaneTopics { checkpoint: _, exceptions, parked, requests }: LaneTopics) -> Self {
        Self { exceptions: exceptions.into(), parked: parked.into(), requests: requests.into() }
    }
}

impl ParkedTopics {
    /// All of them.
    pub(crate) fn names(&self) -> [&Arc<str>; 3] {
        let Self { exceptions, parked, requests } = self;
        [exceptions, parked, requests]
    }

    /// Checks that they exist. An installation that was set up before they were needed has none of them; a route
    /// that halts at a bad event runs without, and takes no requests.
    pub(crate) fn find(
        reader: &Reader,
        route: &Route,
        prefix: &str,
        lanes: u32,
        policy: OnBadEvent,
    ) -> Result<Option<Self>, LaneError> {
        let topics = Self::from(route.lane_topics(prefix));
        if policy == OnBadEvent::Halt {
            let mut any = false;
            for name in topics.names() {
                any |= reader.partitions(name)? > 0;
            }
            if !any {
                return Ok(None);
            }
        }
        for name in topics.names() {
            reader.expect_partitions(name, lanes)?;
        }
        Ok(Some(topics))
    }
}
