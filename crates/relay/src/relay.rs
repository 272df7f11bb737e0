//! The relay as a component.

use std::pin::pin;
use std::sync::Arc;

use aqueduct_core::EventStore;
use aqueduct_kafka::Cluster;
use aqueduct_schema::{Registry, SchemaSet};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::lane::look_ahead::PAGES_AT_ONCE;
use crate::lane::status_record::StatusWriter;
use crate::membership::JOINING;
use crate::options::Options;
use crate::options_error::OptionsError;
use crate::reader::limits::Limits;
use crate::reader::shared::SharedReaders;
use crate::relay_context::RelayContext;
use crate::route_mapping::RouteMapping;
use crate::route_runner::RouteRunner;
use crate::status::{Status, StatusReporter};
use crate::store_end::StoreEnd;
use crate::validation::validate;

/// Forwards the store's events to Kafka. See the [crate's documentation](crate) for its guarantees.
///
/// Any number of instances may run: they share the lanes.
pub struct Relay {
    context: Arc<RelayContext>,
    routes: Vec<RouteRunner>,
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
        let cluster = Arc::new(cluster);
        let context = Arc::new(RelayContext {
            status_writer: Arc::new(StatusWriter::new(Arc::clone(&cluster))),
            cluster,
            readers: SharedReaders::new(Arc::clone(&store), Limits::default(), options.lanes.get()),
            pages_ahead: Arc::new(Semaphore::new(PAGES_AT_ONCE as usize)),
            store_end: StoreEnd::new(),
            options: Arc::new(options),
            store,
            schemas,
            registry,
            reporter: StatusReporter::new(),
        });
        let RelayContext { options, reporter, .. } = &*context;
        let mut routes = Vec::new();
        for route in &options.routes {
            reporter.route(&route.name, Some(JOINING.to_owned()));
            let mapping = Arc::new(RouteMapping::new(options, route)?);
            routes.push(RouteRunner { relay: Arc::clone(&context), route: route.clone(), mapping });
        }
        Ok(Self { context, routes })
    }

    /// Returns the status of its lanes.
    pub fn status(&self) -> Status {
        self.context.reporter.status()
    }

    /// Relays until `shutdown` is cancelled; then each open transaction is finished (or, if that takes too
    /// long, left to be aborted) and the groups are left, so that other instances take over at once.
    ///
    /// No fault of Kafka, the store or an event ends it, nor does a panic in a lane: they are shown by
    /// [`status`](Self::status), logged and counted, and the lane they concern waits and tries again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RelayError> {
        let mut running = JoinSet::new();
        for route in self.routes {
            let shutdown = shutdown.clone();
            running.spawn(async move { route.run(&shutdown).await });
        }
        let mut result = Ok(());
        let RelayContext { store, store_end, .. } = &*self.context;
        let mut end = pin!(store_end.follow(Arc::clone(store)));
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                () = &mut end => None,
            };
            let Some(ended) = ended else { break };
            if let Err(error) = ended {
                // The task of a route panicked: the others are stopped.
                shutdown.cancel();
                result = Err(RelayError(error));
            }
        }
        result
    }
}
