//! What a service is given, and how its process runs.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct_projection::{Decoder, Options, Projection, Reactor};
use aqueduct_service::{Health, Process};
use axum::Router;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::configuration::SectionError;
use crate::connections::{ConnectionError, Connections};
use crate::failure::Failure;
use crate::metrics;

/// Creates a projection of an App, once its options are known.
pub(crate) type MakeProjection = Box<dyn Fn(Options, Arc<dyn Decoder>) -> Projection + Send + Sync>;

/// A service of an [`App`](crate::App) that is about to run: logs, traces and metrics are set up, nothing is
/// connected. It runs until the process is asked to end.
pub struct Service {
    process: Process,
    connections: Connections,
    projections: Vec<Projection>,
}

impl Service {
    /// `name` is the name that traces carry.
    pub(crate) fn new(name: &str, connections: Connections) -> Result<Self, Failure> {
        let process = Process::new(name, &connections.configuration().telemetry)?;
        Ok(Self::with_process(process, connections))
    }

    /// A service of a process that was set up before.
    pub(crate) fn with_process(process: Process, connections: Connections) -> Self {
        aqueduct_eventstore::metrics::describe();
        metrics::describe();
        Self { process, connections, projections: Vec::new() }
    }

    /// The servers of the configuration. What the service asks for before it runs is part of its health.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The user's own section of the configuration of this type, see [`App::section`](crate::App::section).
    pub fn section<T: Clone + Send + Sync + 'static>(&self) -> Result<T, SectionError> {
        self.connections.configuration().section()
    }

    /// Which parts of the process are ready.
    pub fn health(&self) -> &Health {
        self.process.health()
    }

    /// Cancelled when the process is asked to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.process.shutdown()
    }

    /// Runs a reactor in this process, in addition to what the service serves. Commands of both to one aggregate
    /// wait for each other if they go through the same [`Commands`](crate::Commands).
    pub fn react<R: Reactor>(&mut self, reactor: R) -> Result<(), ConnectionError> {
        self.projections.push(self.connections.reactor(reactor)?);
        Ok(())
    }

    pub(crate) fn add(&mut self, projection: Projection) {
        self.projections.push(projection);
    }

    /// Adds the projections of an App and those of the configuration's directory. If there are any, Kafka, the registry and
    /// Postgres must be configured.
    /// `topic_prefix`, else the configured one, comes before the names of their topics, with a dot in between.
    pub(crate) fn add_projections(
        &mut self,
        projections: &[MakeProjection],
        topic_prefix: Option<String>,
    ) -> Result<(), Failure> {
        let configuration = self.connections.configuration();
        let of_directory = configuration.sql_projections()?;
        if projections.is_empty() && of_directory.is_empty() {
            return Ok(());
        }
        let configured = configuration.projection_options()?;
        let options = Options { topic_prefix: topic_prefix.or(configured.topic_prefix), ..configured };
        let decoder = self.connections.decoder()?;
        self.projections.extend(projections.iter().map(|make| make(options.clone(), Arc::clone(&decoder))));
        if !of_directory.is_empty() {
            let schemas = self.connections.topic_schemas()?;
            let in_sql = |projection| {
                Projection::sql(options.clone(), Arc::clone(&decoder), projection, schemas.clone())
            };
            self.projections.extend(of_directory.into_iter().map(in_sql));
        }
        let mut names = BTreeSet::new();
        match self.projections.iter().map(Projection::name).find(|name| !names.insert(*name)) {
            Some(name) => {
                Err(format!("two projections are called {name}: they would share the events, rename one")
                    .into())
            }
            None => Ok(()),
        }
    }

    /// Serves `router`, health and metrics, and runs the reactors, until the process is asked to end or one of
    /// them fails.
    pub async fn serve(self, listen: SocketAddr, router: Router) -> Result<(), Failure> {
        self.run(listen, router, |shutdown| async move {
            shutdown.cancelled().await;
            Ok(())
        })
        .await
    }

    /// As [`serve`](Self::serve), with work of the service's own. It should end soon after the token is cancelled;
    /// when it ends, the process does.
    pub async fn run<F, W>(self, listen: SocketAddr, router: Router, work: F) -> Result<(), Failure>
    where
        F: FnOnce(CancellationToken) -> W,
        W: Future<Output = Result<(), Failure>>,
    {
        let Self { process, connections, mut projections } = self;
        let shutdown = process.shutdown();
        let mut running = JoinSet::new();
        if !projections.is_empty() {
            aqueduct_projection::metrics::describe();
        }
        Projection::share_consumers(&mut projections);
        for projection in projections {
            let component = process.health().component(projection.name());
            tokio::spawn(projection.status().follow(move |problem| component.show(problem)));
            running.spawn(projection.run(shutdown.clone()));
        }
        let health = process.health().clone();
        let component = async {
            let work = async {
                let worked = work(shutdown.clone()).await;
                shutdown.cancel();
                worked
            };
            let watch = shutdown.run_until_cancelled(connections.watch(&health));
            let (worked, projected, _) = tokio::join!(work, all(&mut running, &shutdown), watch);
            worked.and(projected)
        };
        Ok(process.run(listen, router, component).await?)
    }
}

/// Waits for all; when one fails, the others end in order.
async fn all<E: Into<Failure> + 'static>(
    running: &mut JoinSet<Result<(), E>>,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended.map_err(Failure::from).and_then(|ended| ended.map_err(Into::into)) {
            shutdown.cancel();
            result = Err(error);
        }
    }
    result
}
