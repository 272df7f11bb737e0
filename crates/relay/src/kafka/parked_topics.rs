//! The topics that hold what a route did not relay.

use std::sync::Arc;

use crate::error::LaneError;
use crate::kafka::reader::Reader;
use crate::route::{OnBadEvent, Route};

/// Their names.
#[derive(Debug, Clone)]
pub(crate) struct ParkedTopics {
    pub(crate) exceptions: Arc<str>,
    pub(crate) parked: Arc<str>,
    pub(crate) requests: Arc<str>,
}

impl ParkedTopics {
    fn of(route: &Route, prefix: &str) -> Self {
        Self {
            exceptions: route.exceptions_topic(prefix).into(),
            parked: route.parked_topic(prefix).into(),
            requests: route.requests_topic(prefix).into(),
        }
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
        let topics = Self::of(route, prefix);
        let names = [&topics.exceptions, &topics.parked, &topics.requests];
        if policy == OnBadEvent::Halt {
            let mut any = false;
            for name in names {
                any |= reader.partitions(name)? > 0;
            }
            if !any {
                return Ok(None);
            }
        }
        for name in names {
            reader.expect_partitions(name, lanes)?;
        }
        Ok(Some(topics))
    }
}
