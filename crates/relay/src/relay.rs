//! The relay as a component.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{EventStore, Position, with_causes};
use aqueduct_kafka::{BrokerWatch, Cluster};
use aqueduct_schema::{RecordEncoder, Registry, SchemaSet};
use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::group::{self, Change};
use crate::lane;
use crate::lane::session::LaneContext;
use crate::lane::status_record::{LaneProgress, StatusWriter};
use crate::lane_definition::LaneDefinition;
use crate::metrics::LaneMetrics;
use crate::options::Options;
use crate::options_error::OptionsError;
use crate::route::Route;
use crate::route_mapping::RouteMapping;
use crate::status::{Status, StatusReporter};
use crate::validation::validate;

const JOINING: &str = "joining the consumer group";
/// How often the lag is measured.
const LAG_INTERVAL: Duration = Duration::from_secs(5);

/// Forwards the store's events to Kafka. See the [crate's documentation](crate) for its guarantees.
///
/// Any number of instances may run: they share the lanes.
pub struct Relay {
    cluster: Arc<Cluster>,
    options: Arc<Options>,
    store: Arc<dyn EventStore>,
    schemas: Arc<SchemaSet>,
    registry: Registry,
    /// How the events of each route are read.
    mappings: Vec<Arc<RouteMapping>>,
    reporter: StatusReporter,
    status_writer: Arc<StatusWriter>,
}

/// The relay ended unexpectedly.
#[derive(Debug, thiserror::Error)]
#[error("the task of a route panicked")]
pub struct RelayError(#[source] tokio::task::JoinError);

impl Relay {
    /// Creates a relay; call [`run`](Self::run) to start it.
    ///
    /// # Errors
    /// An option is not valid.
    pub fn new(
        cluster: Cluster,
        options: Options,
        store: Arc<dyn EventStore>,
        schemas: Arc<SchemaSet>,
        registry: Registry,
    ) -> Result<Self, OptionsError> {
        validate(&cluster, &options)?;
        let reporter = StatusReporter::new();
        for route in &options.routes {
            reporter.route(&route.name, Some(JOINING.to_owned()));
        }
        let mapping = |route: &Route| RouteMapping::new(&options, route).map(Arc::new);
        let mappings = options.routes.iter().map(mapping).collect::<Result<_, _>>()?;
        let cluster = Arc::new(cluster);
        Ok(Self {
            status_writer: Arc::new(StatusWriter::new(Arc::clone(&cluster))),
            cluster,
            options: Arc::new(options),
            store,
            schemas,
            registry,
            mappings,
            reporter,
        })
    }

    /// Returns the status of its lanes.
    pub fn status(&self) -> Status {
        self.reporter.status()
    }

    /// Relays until `shutdown` is cancelled; then each open transaction is finished (or, if that takes too
    /// long, left to be aborted) and the groups are left, so that other instances take over at once.
    ///
    /// No fault of Kafka, the store or an event ends it, nor does a panic in a lane: they are shown by
    /// [`status`](Self::status), logged and counted, and the lane they concern waits and tries again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RelayError> {
        let relay = Arc::new(self);
        let mut parts = JoinSet::new();
        for n in 0..relay.options.routes.len() {
            let (relay, shutdown) = (Arc::clone(&relay), shutdown.clone());
            parts.spawn(async move { relay.run_route(n, &shutdown).await });
        }
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended {
                // The task of a route panicked: the others are stopped.
                shutdown.cancel();
                result = Err(RelayError(error));
            }
        }
        result
    }

    /// Joins the route's consumer group and runs the assigned lanes; rejoins after an error.
    async fn run_route(&self, n: usize, shutdown: &CancellationToken) {
        let (route, mapping) = (&self.options.routes[n], &self.mappings[n]);
        while !shutdown.is_cancelled() {
            self.reporter.route(&route.name, Some(JOINING.to_owned()));
            let leave = shutdown.child_token();
            // If this future is dropped, the group is left and the lanes stop.
            let _dropped = leave.clone().drop_guard();
            let (tell, mut changes) = mpsc::unbounded_channel();
            let (ended, end) = oneshot::channel();
            let thread = {
                let (cluster, options) = (Arc::clone(&self.cluster), Arc::clone(&self.options));
                let (route, leave) = (route.clone(), leave.clone());
                let name = format!("relay-{}", route.name);
                std::thread::Builder::new().name(name).spawn(move || {
                    let watch = BrokerWatch::new(options.session_timeout());
                    let _relay_gone =
                        ended.send(group::run_member(&cluster, &options, &route, tell, &leave, watch));
                })
            };
            let mut lanes = Lanes { relay: self, route, mapping, leave: &leave, running: BTreeMap::new() };
            let (mut reachable, mut joined) = (true, false);
            while let Some(change) = changes.recv().await {
                match &change {
                    Change::Brokers { reachable: now } => reachable = *now,
                    Change::Assigned(_) => joined = true,
                    Change::Revoked { lost, .. } => joined &= !lost,
                }
                let problem = match (reachable, joined) {
                    (false, _) => Some(format!("no kafka broker of {} can be reached", self.cluster.brokers)),
                    (true, false) => Some(JOINING.to_owned()),
                    (true, true) => None,
                };
                self.reporter.route(&route.name, problem);
                match change {
                    Change::Brokers { .. } => {}
                    Change::Assigned(assigned) => assigned.into_iter().for_each(|lane| lanes.start(lane)),
                    Change::Revoked { lanes: revoked, done, .. } => {
                        lanes.stop(revoked).await;
                        // Nobody waits if it took too long.
                        let _late = done.send(());
                    }
                }
            }
            // The membership has ended; without a broker it does so without revoking anything.
            lanes.stop(lanes.running.keys().copied().collect()).await;
            let error = match (thread, end.await) {
                (Ok(_), Ok(Ok(()))) => continue,
                (Ok(_), Ok(Err(error))) => error,
                (Err(_), _) | (_, Err(_)) => LaneError::ThreadEnded,
            };
            let problem = with_causes(&error);
            LaneMetrics::new(&route.name, 0).error(error.label());
            tracing::error!(route = route.name, problem, "consumer group membership failed, rejoining");
            self.reporter.route(&route.name, Some(problem));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.options.retry().max(Duration::from_secs(1))) => {}
            }
        }
    }
}

/// The lanes of a route that are this instance's.
struct Lanes<'a> {
    relay: &'a Relay,
    route: &'a Route,
    mapping: &'a Arc<RouteMapping>,
    leave: &'a CancellationToken,
    running: BTreeMap<u32, (CancellationToken, JoinHandle<()>)>,
}

impl Lanes<'_> {
    fn start(&mut self, id: u32) {
        let Relay { cluster, options, store, schemas, registry, reporter, status_writer, .. } = self.relay;
        let (route, mapping) = (self.route.clone(), Arc::clone(self.mapping));
        let context = LaneContext {
            cluster: Arc::clone(cluster),
            options: Arc::clone(options),
            definition: LaneDefinition::new(cluster, route, mapping, id, options.lanes.get()),
            store: Arc::clone(store),
            encoder: RecordEncoder::new(Arc::clone(schemas), registry.clone(), &self.route.topic),
            reporter: reporter.lane(&self.route.name, id),
        };
        let (topic, lane) = (context.definition.checkpoint_topic.clone(), context.definition.id());
        let (writer, status) = (Arc::clone(status_writer), self.relay.status());
        let metrics = context.reporter.metrics.clone();
        let progress = LaneProgress {
            position: context.reporter.position.subscribe(),
            parked: context.reporter.parked.subscribe(),
        };
        let (store, stop, leave) = (Arc::clone(store), self.leave.child_token(), self.leave.clone());
        let run = {
            let stop = stop.clone();
            async move {
                tokio::select! {
                    () = lane::run(Arc::new(context), stop, leave) => {}
                    () = measure_lag(store, progress.position.clone(), &metrics) => {}
                    () = writer.follow(&topic, &lane, status, &progress) => {}
                }
                writer.stopped(&topic, &lane, &progress).await;
                // From now on another instance reports it.
                metrics.lag(0);
                metrics.parked(0);
                metrics.foreign(0);
            }
        };
        self.running.insert(id, (stop, tokio::spawn(run)));
    }

    async fn stop(&mut self, ids: Vec<u32>) {
        let ending: Vec<_> = ids.iter().filter_map(|id| self.running.remove(id)).collect();
        for (stop, _) in &ending {
            stop.cancel();
        }
        for (_, task) in ending {
            if let Err(error) = task.await {
                tracing::error!(%error, route = self.route.name, "lane task failed");
            }
        }
    }
}

/// Sets the gauge of the lane's lag at intervals. Never completes.
async fn measure_lag(
    store: Arc<dyn EventStore>,
    position: watch::Receiver<Option<Position>>,
    metrics: &LaneMetrics,
) {
    loop {
        // An unreachable store is reported elsewhere.
        let last = AssertUnwindSafe(store.last_position()).catch_unwind().await;
        if let Ok(Ok(Some(last))) = last {
            let position = position.borrow().map_or(0, |position| position.commit);
            metrics.lag(last.commit.saturating_sub(position));
        }
        tokio::time::sleep(LAG_INTERVAL).await;
    }
}
