//! The relay's lanes, from Kafka and the event store.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_core::{AllItem, EventStore, Position, with_causes};
use aqueduct_relay::{LaneReport, ReportedState, read_lanes};
use futures::StreamExt as _;
use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::{seconds_between, state_at};
use crate::connections::Connections;
use crate::failure::Failure;

/// Time-out of a question to the event store.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A lane at one time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LaneSample {
    pub(super) route: String,
    pub(super) lane: u32,
    /// `unknown` if no instance ever reported it.
    pub(super) state: String,
    pub(super) problem: Option<String>,
    pub(super) reported_at: Option<Timestamp>,
    pub(super) position: Option<Position>,
    /// Log positions up to the end of the store; not known without the store.
    pub(super) lag: Option<u64>,
    /// Age of the first event after the checkpoint.
    pub(super) lag_seconds: Option<f64>,
    /// Log positions a second.
    pub(super) rate: Option<f64>,
    /// Parked events; not known before an instance has counted them.
    pub(super) parked: Option<u64>,
    #[serde(skip)]
    pub(super) sampled_at: Timestamp,
}

impl LaneSample {
    pub(super) fn commit(&self) -> Option<u64> {
        self.position.map(|position| position.commit)
    }
}

/// The lanes of all routes, and which servers did not answer.
pub(super) async fn sample(connections: &Connections) -> (Vec<LaneSample>, Vec<String>) {
    let configuration = connections.configuration();
    if configuration.kafka.configured().is_none() || configuration.relay.routes.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let (store, mut problems) = match end_of_store(connections).await {
        Ok(store) => (store, Vec::new()),
        Err(error) => (None, vec![format!("event store: {error}")]),
    };
    let reads = configuration.relay.routes.iter().map(|route| async {
        let read = read_route(connections, &route.name).await;
        (route.name.clone(), read)
    });
    let mut lanes = Vec::new();
    let mut ages = BTreeMap::new();
    for (route, read) in join_all(reads).await {
        match read {
            Ok(reports) => {
                for report in reports {
                    lanes.push(lane(&route, report, store.as_ref(), &mut ages).await);
                }
            }
            Err(error) => problems.push(format!("route {route}: {}", with_causes(&*error))),
        }
    }
    (lanes, problems)
}

struct Store {
    store: std::sync::Arc<dyn EventStore>,
    end: Option<Position>,
}

/// `None`: no event store is configured.
async fn end_of_store(connections: &Connections) -> Result<Option<Store>, Failure> {
    if connections.configuration().eventstore.configured().is_none() {
        return Ok(None);
    }
    let store = connections.event_store()?;
    let end = tokio::time::timeout(TIMEOUT, store.last_position()).await;
    let end = end.map_err(|_| format!("no answer within {TIMEOUT:?}"))??;
    Ok(Some(Store { store, end }))
}

async fn read_route(connections: &Connections, name: &str) -> Result<Vec<LaneReport>, Failure> {
    let configuration = connections.configuration();
    let (cluster, options) = (configuration.cluster()?, configuration.relay_options());
    let name = name.to_owned();
    let read = move || {
        let route = options.routes.iter().find(|route| route.name == name);
        route.map_or(Ok(Vec::new()), |route| read_lanes(&cluster, &options, route))
    };
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// `ages` has the times of the first events after positions: lanes are often at the same one.
async fn lane(
    route: &str,
    report: LaneReport,
    store: Option<&Store>,
    ages: &mut BTreeMap<Option<Position>, Option<Timestamp>>,
) -> LaneSample {
    let LaneReport { lane, position, reported, .. } = report;
    let now = Timestamp::now();
    let mut sample = LaneSample {
        route: route.to_owned(),
        lane,
        state: "unknown".to_owned(),
        problem: None,
        reported_at: None,
        position,
        lag: None,
        lag_seconds: None,
        rate: None,
        parked: None,
        sampled_at: now,
    };
    if let Some(ReportedState { state, problem, parked, at }) = reported {
        sample.parked = parked;
        sample.state = state_at(&state, at, now);
        sample.problem = problem;
        sample.reported_at = Some(at);
    }
    let Some(Store { store, end }) = store else { return sample };
    if position >= *end {
        sample.lag = Some(0);
        sample.lag_seconds = Some(0.0);
        return sample;
    }
    let commit = |position: Option<Position>| position.map_or(0, |position| position.commit);
    sample.lag = Some(commit(*end).saturating_sub(commit(position)));
    let created = match ages.get(&position) {
        Some(created) => *created,
        None => {
            let created = next_event(store.as_ref(), position).await;
            ages.insert(position, created);
            created
        }
    };
    sample.lag_seconds = created.map(|created| seconds_between(created, now));
    sample
}

/// When the first event after a position was stored.
async fn next_event(store: &dyn EventStore, position: Option<Position>) -> Option<Timestamp> {
    let mut events = store.subscribe_all(position);
    let first = async {
        loop {
            match events.next().await? {
                Ok(AllItem::Event(event)) => return Some(event.created),
                Ok(AllItem::CaughtUp | AllItem::Resubscribed) => {}
                Err(_) => return None,
            }
        }
    };
    tokio::time::timeout(TIMEOUT, first).await.ok().flatten()
}
