//! What each lane is doing, for health checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_core::Position;
use tokio::sync::watch;

use crate::lane_id::LaneId;
use crate::metrics::LaneMetrics;

/// What a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneState {
    /// Another instance has it.
    Elsewhere,
    /// It was assigned to this instance and prepares to relay.
    Starting,
    /// It relays.
    Running,
    /// A transient error (broker, store or registry unreachable); the lane retries.
    Retrying {
        /// What is wrong.
        problem: String,
    },
    /// An operator must act: publish a schema, correct an event or the configuration. It retries
    /// at intervals.
    Halted {
        /// What is wrong and what to do.
        problem: String,
    },
}

/// The relay has ended: its status does not change again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the relay has ended")]
pub struct RelayEnded;

/// The state of a relay. Clones share it.
#[derive(Debug, Clone)]
pub struct Status {
    state: watch::Receiver<RelayState>,
}

#[derive(Debug, Default)]
struct RelayState {
    /// Routes that are not ready, with the reason.
    route_problems: BTreeMap<String, String>,
    lanes: BTreeMap<LaneId, LaneState>,
}

impl Status {
    /// Returns why the relay is not ready, by route or `route/lane`; empty if it is ready. An instance whose lanes are
    /// all elsewhere is ready to take over.
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let relay = self.state.borrow();
        let lanes = relay.lanes.iter().filter_map(|(id, state)| {
            let reason = match state {
                LaneState::Elsewhere | LaneState::Running => return None,
                LaneState::Starting => "starting".to_owned(),
                LaneState::Retrying { problem } => format!("retrying: {problem}"),
                LaneState::Halted { problem } => format!("halted: {problem}"),
            };
            Some((id.to_string(), reason))
        });
        relay.route_problems.clone().into_iter().chain(lanes).collect()
    }

    /// What a lane is doing.
    pub fn lane(&self, route: &str, lane: u32) -> LaneState {
        let relay = self.state.borrow();
        relay.lanes.get(&LaneId::new(route, lane)).cloned().unwrap_or(LaneState::Elsewhere)
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// The relay has ended, so no change will come.
    pub async fn changed(&mut self) -> Result<(), RelayEnded> {
        self.state.changed().await.map_err(|_| RelayEnded)
    }

    /// Calls `show` with all that [`not_ready`](Self::not_ready) says (`None`: it is ready), now and at each
    /// change, until the relay has ended.
    pub async fn follow(mut self, show: impl Fn(Option<String>)) {
        loop {
            let not_ready = self.not_ready();
            let problems: Vec<_> =
                not_ready.iter().map(|(part, problem)| format!("{part}: {problem}")).collect();
            show((!problems.is_empty()).then(|| problems.join("; ")));
            if self.changed().await.is_err() {
                break;
            }
        }
    }
}

/// The writing side of [`Status`].
#[derive(Debug, Clone)]
pub(crate) struct StatusReporter(Arc<watch::Sender<RelayState>>);

impl StatusReporter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    pub(crate) fn status(&self) -> Status {
        Status { state: self.0.subscribe() }
    }

    /// The route takes part in its consumer group (`None`), or not.
    pub(crate) fn route(&self, route: &str, problem: Option<String>) {
        self.0.send_modify(|relay| {
            match problem {
                Some(problem) => relay.route_problems.insert(route.to_owned(), problem),
                None => relay.route_problems.remove(route),
            };
        });
    }

    pub(crate) fn lane(&self, route: &str, lane: u32) -> LaneReporter {
        LaneReporter {
            reporter: self.clone(),
            id: LaneId::new(route, lane),
            metrics: LaneMetrics::new(route, lane),
            position: watch::Sender::new(None),
            parked: watch::Sender::new(None),
        }
    }
}

/// The writing side of one lane.
#[derive(Debug)]
pub(crate) struct LaneReporter {
    reporter: StatusReporter,
    id: LaneId,
    pub(crate) metrics: LaneMetrics,
    /// Position of the checkpoint.
    pub(crate) position: watch::Sender<Option<Position>>,
    /// Events that are parked; `None` until they were counted.
    pub(crate) parked: watch::Sender<Option<u64>>,
}

impl LaneReporter {
    pub(crate) fn set(&self, state: LaneState) {
        self.metrics.ready(state == LaneState::Running);
        self.reporter.0.send_if_modified(|relay| {
            let changed = relay.lanes.get(&self.id) != Some(&state);
            if changed {
                relay.lanes.insert(self.id.clone(), state);
            }
            changed
        });
    }

    /// Reports how many events of the lane are parked.
    pub(crate) fn set_parked(&self, events: u64) {
        self.metrics.parked(events);
        self.parked.send_replace(Some(events));
    }
}
