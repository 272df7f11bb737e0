//! The lanes that run in this instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_core::Position;
use aqueduct_schema::RecordEncoder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lane;
use crate::lane::context::LaneContext;
use crate::lane::status_record::LaneProgress;
use crate::lane_definition::LaneDefinition;
use crate::metrics::LaneMetrics;
use crate::relay_context::RelayContext;
use crate::route::Route;
use crate::route_mapping::RouteMapping;

/// The lanes of a route that this instance owns, each in a task of its own.
pub(crate) struct RunningLanes<'a> {
    relay: &'a RelayContext,
    route: &'a Route,
    mapping: &'a Arc<RouteMapping>,
    leave: &'a CancellationToken,
    running: BTreeMap<u32, (CancellationToken, JoinHandle<()>)>,
}

impl<'a> RunningLanes<'a> {
    /// No lane yet. Lanes stop when `leave` is cancelled; a lane that another producer has fenced cancels it.
    pub(crate) fn new(
        relay: &'a RelayContext,
        route: &'a Route,
        mapping: &'a Arc<RouteMapping>,
        leave: &'a CancellationToken,
    ) -> Self {
        Self { relay, route, mapping, leave, running: BTreeMap::new() }
    }

    pub(crate) fn start(&mut self, lane: u32) {
        let context = self.context(lane);
        let (topic, id) = (context.definition.checkpoint_topic.clone(), context.definition.id());
        let (writer, status) = (Arc::clone(&self.relay.status_writer), self.relay.reporter.status());
        let metrics = context.reporter.metrics.clone();
        let progress = LaneProgress {
            position: context.reporter.position.subscribe(),
            parked: context.reporter.parked.subscribe(),
        };
        let announced = self.relay.readers.announce(id.clone());
        let end = self.relay.store_end.subscribe();
        let (stop, leave) = (self.leave.child_token(), self.leave.clone());
        let run = {
            let stop = stop.clone();
            async move {
                let _announced = announced;
                tokio::select! {
                    () = lane::run(Arc::new(context), stop, leave) => {}
                    () = measure_lag(end, progress.position.clone(), &metrics) => {}
                    () = writer.follow(&topic, &id, status, &progress) => {}
                }
                writer.stopped(&topic, &id, &progress).await;
                // From now on another instance reports it.
                metrics.lag(0);
                metrics.parked(0);
                metrics.foreign(0);
            }
        };
        self.running.insert(lane, (stop, tokio::spawn(run)));
    }

    fn context(&self, lane: u32) -> LaneContext {
        let RelayContext {
            cluster, options, store, readers, pages_ahead, schemas, registry, reporter, ..
        } = self.relay;
        let (route, mapping) = (self.route.clone(), Arc::clone(self.mapping));
        LaneContext {
            cluster: Arc::clone(cluster),
            options: Arc::clone(options),
            definition: LaneDefinition::new(cluster, route, mapping, lane, options.lanes.get()),
            store: Arc::clone(store),
            readers: readers.clone(),
            pages_ahead: Arc::clone(pages_ahead),
            encoder: RecordEncoder::new(Arc::clone(schemas), registry.clone(), &self.route.topic),
            reporter: reporter.lane(&self.route.name, lane),
        }
    }

    /// Stops these lanes and waits until they have ended.
    pub(crate) async fn stop(&mut self, lanes: Vec<u32>) {
        let ending: Vec<_> = lanes.iter().filter_map(|lane| self.running.remove(lane)).collect();
        for (stop, _) in &ending {
            stop.cancel();
        }
        for (_, task) in ending {
            if let Err(error) = task.await {
                tracing::error!(%error, route = self.route.name, "lane task failed");
            }
        }
    }

    pub(crate) async fn stop_all(&mut self) {
        self.stop(self.running.keys().copied().collect()).await;
    }
}

/// Sets the gauge of the lane's lag whenever the end of the store was read. Never completes.
async fn measure_lag(
    mut end: watch::Receiver<Option<Position>>,
    position: watch::Receiver<Option<Position>>,
    metrics: &LaneMetrics,
) {
    loop {
        if let Some(end) = *end.borrow_and_update() {
            let position = position.borrow().map_or(0, |position| position.commit);
            metrics.lag(end.commit.saturating_sub(position));
        }
        if end.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
