//! A route, for as long as the relay runs.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::with_causes;
use aqueduct_kafka::BrokerWatch;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::group::{self, Change};
use crate::membership::{JOINING, Membership};
use crate::metrics::LaneMetrics;
use crate::named_thread;
use crate::relay_context::RelayContext;
use crate::route::Route;
use crate::route_mapping::RouteMapping;
use crate::running_lanes::RunningLanes;

/// Shortest pause before the consumer group is joined again.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// Runs the lanes of a route that its consumer group assigns to this instance.
pub(crate) struct RouteRunner {
    pub(crate) relay: Arc<RelayContext>,
    pub(crate) route: Route,
    /// How the events of the route are read.
    pub(crate) mapping: Arc<RouteMapping>,
}

impl RouteRunner {
    /// Takes part in the route's consumer group until `shutdown` is cancelled; rejoins after an error.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        let RelayContext { options, reporter, .. } = &*self.relay;
        let route = &self.route.name;
        while !shutdown.is_cancelled() {
            reporter.route(route, Some(JOINING.to_owned()));
            let Err(error) = self.run_membership(shutdown).await else { continue };
            let problem = with_causes(&error);
            LaneMetrics::new(route, 0).error(error.label());
            tracing::error!(route, error = problem, "consumer group membership failed, rejoining");
            reporter.route(route, Some(problem));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(options.retry().max(MIN_PAUSE)) => {}
            }
        }
    }

    /// Joins the consumer group and runs the assigned lanes until the membership ends.
    async fn run_membership(&self, shutdown: &CancellationToken) -> Result<(), LaneError> {
        let leave = shutdown.child_token();
        // If this future is dropped, the group is left and the lanes stop.
        let _dropped = leave.clone().drop_guard();
        let (changes_tx, mut changes) = mpsc::unbounded_channel();
        let thread = format!("relay-{}", self.route.name);
        let ended = self.spawn_member(&thread, changes_tx, &leave)?;
        let mut lanes = RunningLanes::new(&self.relay, &self.route, &self.mapping, &leave);
        let mut membership = Membership::new();
        while let Some(change) = changes.recv().await {
            membership.apply(&change);
            self.relay.reporter.route(&self.route.name, membership.problem(&self.relay.cluster.brokers));
            match change {
                Change::Brokers { .. } => {}
                Change::Assigned(assigned) => assigned.into_iter().for_each(|lane| lanes.start(lane)),
                Change::Revoked { lanes: revoked, done, .. } => {
                    lanes.stop(revoked).await;
                    // The rebalance no longer waits if it took too long.
                    let _late = done.send(());
                }
            }
        }
        // Without a broker a membership ends without revoking anything.
        lanes.stop_all().await;
        ended.await.unwrap_or(Err(LaneError::ThreadEnded { name: thread }))
    }

    /// Starts the member's thread. Returns where its result arrives when the membership has ended.
    fn spawn_member(
        &self,
        thread: &str,
        changes: mpsc::UnboundedSender<Change>,
        leave: &CancellationToken,
    ) -> Result<oneshot::Receiver<Result<(), LaneError>>, LaneError> {
        let RelayContext { cluster, options, .. } = &*self.relay;
        let (cluster, options) = (Arc::clone(cluster), Arc::clone(options));
        let (route, leave) = (self.route.clone(), leave.clone());
        let (ended_tx, ended) = oneshot::channel();
        named_thread::spawn(thread, move || {
            let watch = BrokerWatch::new(options.session_timeout());
            let result = group::run_member(&cluster, &options, &route, changes, &leave, watch);
            let _relay_gone = ended_tx.send(result);
        })?;
        Ok(ended)
    }
}
