//! A projection: its construction, its start, and what it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use aqueduct_core::{ErrorKind, with_causes};
use aqueduct_kafka::Cluster;
use aqueduct_schema::TopicSchemas;
use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::batch::context::BatchContext;
use crate::batch::retry_gate::RetryGate;
use crate::batch::runner::BatchRunner;
use crate::batch::table_fault::TableFaultDetector;
use crate::batch::transaction::Transactions;
use crate::error::ProjectionError;
use crate::inbox::Inboxes;
use crate::inbox::ownership::Ownership;
use crate::kafka::shared::SharedConsumer;
use crate::model::deltas::{Deltas, DeltasHandler};
use crate::model::error::TableError;
use crate::model::handler::Handler;
use crate::model::projector::{Projector, ProjectorHandler};
use crate::model::reactor::{Reactor, ReactorHandler};
use crate::model::view::{View, ViewHandler};
use crate::options::Options;
use crate::parked::execute::RequestExecutor;
use crate::postgres::migrate::{is_denied, is_migrated, migrate};
use crate::postgres::monitor::PostgresMonitor;
use crate::processor::BatchProcessor;
use crate::record::decode::Decoder;
use crate::session::Sessions;
use crate::sql::definition::SqlProjection;
use crate::sql::handler::SqlHandler;
use crate::status::{Component, Status, StatusReporter};
use crate::status_record::StatusWriter;
use crate::{backoff, metrics};

/// A view, deltas, a projector or a reactor that is ready to run.
///
/// *Delivery:* each event is applied once, across crashes and redeliveries; a reactor's effects happen at least
/// once. *Order:* as in the stream. *Concurrency:* any number of instances share the
/// partitions of the topics; Postgres rejects what an instance still does with a partition that it has lost.
pub struct Projection {
    name: &'static str,
    topics: &'static [&'static str],
    options: Options,
    decoder: Arc<dyn Decoder>,
    status: StatusReporter,
    build: Build,
    shared: Option<SharedConsumer>,
}

/// Checks the table and builds the processor.
type Build = Box<dyn Fn(Parts) -> BoxFuture<'static, Result<BatchProcessor, TableError>> + Send + Sync>;

/// Everything a processor is built from, apart from its handler.
struct Parts {
    connection: PoolConnection<Postgres>,
    pool: PgPool,
    options: Options,
    decoder: Arc<dyn Decoder>,
    status: StatusReporter,
    shutdown: CancellationToken,
}

impl Parts {
    fn processor<H: Handler>(self, handler: H) -> BatchProcessor {
        let projection = handler.name();
        let ownership = Arc::new(Ownership::new(projection));
        let runner = Arc::new(BatchRunner {
            context: BatchContext {
                projection,
                ownership: Arc::clone(&ownership),
                status: self.status,
                shutdown: self.shutdown,
                concurrency: self.options.concurrency,
                running: AtomicUsize::new(0),
            },
            transactions: Transactions {
                handler,
                pool: self.pool.clone(),
                timeout: self.options.postgres.timeout(),
                table_faults: TableFaultDetector::default(),
                single: RetryGate::default(),
            },
            decoder: self.decoder,
            source: self.options.cluster.source,
            inboxes: Inboxes::new(projection),
            reacting: tokio::sync::Mutex::default(),
        });
        let requests = Arc::new(RequestExecutor::new(Arc::clone(&runner)));
        BatchProcessor::new(projection, self.pool, ownership, runner, requests)
    }
}

impl Projection {
    /// Creates a projection that maintains the view `V`: one row per key. `decoder` decodes the payloads; use
    /// [`registry_decoder`](crate::registry_decoder) for records that the relay wrote.
    pub fn view<V: View>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(V::NAME, V::TOPICS, options, decoder, |mut parts| {
            Box::pin(async move {
                let handler = ViewHandler::<V>::new(&mut parts.connection).await?;
                Ok(parts.processor(handler))
            })
        })
    }

    /// Creates a projection that adds the deltas of each event to the rows of `D`. For `decoder` see
    /// [`view`](Self::view).
    pub fn deltas<D: Deltas>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(D::NAME, D::TOPICS, options, decoder, |mut parts| {
            Box::pin(async move {
                let handler = DeltasHandler::<D>::new(&mut parts.connection).await?;
                Ok(parts.processor(handler))
            })
        })
    }

    /// Creates a projection that calls `P` in the transaction of each batch. For `decoder` see [`view`](Self::view).
    pub fn projector<P: Projector>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(P::NAME, P::TOPICS, options, decoder, |parts| {
            Box::pin(async move { Ok(parts.processor(ProjectorHandler::<P>::new())) })
        })
    }

    /// Creates a projection that calls `reactor` at least once for each event. For `decoder` see
    /// [`view`](Self::view).
    pub fn reactor<R: Reactor>(options: Options, decoder: Arc<dyn Decoder>, reactor: R) -> Self {
        let reactor = Arc::new(reactor);
        Self::new(R::NAME, R::TOPICS, options, decoder, move |parts| {
            let handler = ReactorHandler(Arc::clone(&reactor));
            Box::pin(async move { Ok(parts.processor(handler)) })
        })
    }

    /// Creates a projection that runs the statements of SQL files. For `decoder` see [`view`](Self::view); `schemas` knows the
    /// versions that the files are written for.
    pub fn sql(
        options: Options,
        decoder: Arc<dyn Decoder>,
        projection: SqlProjection,
        schemas: TopicSchemas,
    ) -> Self {
        let (projection, schemas) = (Arc::new(projection), Arc::new(schemas));
        Self::new(projection.name, projection.topics, options, decoder, move |mut parts| {
            let (projection, schemas) = (Arc::clone(&projection), Arc::clone(&schemas));
            Box::pin(async move {
                projection.check_migrations(&mut parts.connection).await?;
                let topics: Vec<_> =
                    projection.topics.iter().map(|topic| parts.options.topic(topic)).collect();
                let pins = projection.pin(&schemas, &topics).await?;
                for warning in &pins.warnings {
                    tracing::warn!(
                        projection = projection.name,
                        warning,
                        "the fields that a statement reads are not all checked"
                    );
                }
                let handler = SqlHandler::new(&mut parts.connection, projection, pins).await?;
                Ok(parts.processor(handler))
            })
        })
    }

    fn new(
        name: &'static str,
        topics: &'static [&'static str],
        options: Options,
        decoder: Arc<dyn Decoder>,
        build: impl Fn(Parts) -> BoxFuture<'static, Result<BatchProcessor, TableError>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            topics,
            options,
            decoder,
            status: StatusReporter::new(),
            build: Box::new(build),
            shared: None,
        }
    }

    /// Lets projections of one process read the ends of their partitions through one consumer for each cluster, so that Kafka
    /// sends a new record once and not once for each of them. Each stays a member of its own group. One that is behind, halted
    /// or slow reads through its own consumer, and delays no other.
    pub fn share_consumers(projections: &mut [Self]) {
        let mut shared: Vec<(Cluster, SharedConsumer)> = Vec::new();
        let clusters: Vec<_> = projections.iter().map(|it| it.options.cluster.clone()).collect();
        for projection in projections {
            let cluster = &projection.options.cluster;
            if clusters.iter().filter(|other| *other == cluster).count() < 2 {
                continue;
            }
            let known =
                shared.iter().find(|(other, _)| other == cluster).map(|(_, consumer)| consumer.clone());
            projection.shared = Some(known.unwrap_or_else(|| {
                let group = projection.options.group(projection.name);
                let consumer = SharedConsumer::new(cluster.clone(), group);
                shared.push((cluster.clone(), consumer.clone()));
                consumer
            }));
        }
    }

    /// Name of the projection.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the status for health checks.
    pub fn status(&self) -> Status {
        self.status.status()
    }

    /// Runs until `shutdown` is cancelled, then finishes the current batches and leaves the group. Temporary errors
    /// (Postgres, Kafka or the registry unreachable) are retried. After a restart it resumes from what was committed.
    ///
    /// # Errors
    /// An error that a retry does not solve: an option or the table is not valid, a permission is missing, records
    /// were deleted before they were read, or a reactor returned [`ErrorKind::Stop`].
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ProjectionError> {
        let result = self.run_sessions(&shutdown).await;
        if let Err(error) = &result {
            self.status.report(Component::Halted, format!("halted: {}", with_causes(error)));
        }
        result
    }

    async fn run_sessions(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let Some(processor) = self.start(shutdown).await? else { return Ok(()) };
        let ownership = Arc::clone(&processor.ownership);
        let status_writer = StatusWriter::new(self.name, ownership, processor.pool.clone());
        let monitor = PostgresMonitor {
            projection: self.name,
            pool: processor.pool.clone(),
            status: self.status.clone(),
            parked: Notify::new(),
        };
        let sessions = Sessions {
            projection: self.name,
            topics: self.topics,
            options: &self.options,
            status: &self.status,
            processor: &processor,
            monitor: &monitor,
            shared: self.shared.as_ref(),
        };
        // During the shutdown partitions are given up: the last report must have those that were owned before.
        let report = async {
            shutdown.run_until_cancelled(status_writer.follow(self.status())).await;
            std::future::pending().await
        };
        let ended: Result<(), ProjectionError> = tokio::select! {
            ended = sessions.run(shutdown) => ended,
            () = monitor.run() => Ok(()),
            () = report => Ok(()),
        };
        status_writer.end(ended.as_ref().err().map(|error| with_causes(error))).await;
        ended
    }

    /// Creates a processor that is called with records: for benchmarks, and for tests without Kafka. Runs the
    /// migrations; does not wait for a server that is not running.
    ///
    /// # Errors
    /// An option or the table is not valid, or Postgres is unreachable.
    pub async fn batch_processor(&self) -> Result<BatchProcessor, ProjectionError> {
        self.check_options()?;
        self.open(&self.pool()?, &CancellationToken::new()).await
    }

    /// Waits for Postgres if necessary. Returns `None` if the process is shutting down.
    async fn start(&self, shutdown: &CancellationToken) -> Result<Option<BatchProcessor>, ProjectionError> {
        self.check_options()?;
        let pool = self.pool()?;
        let mut delays = backoff::delays();
        while !shutdown.is_cancelled() {
            let error = match self.open(&pool, shutdown).await {
                Ok(processor) => {
                    self.status.clear(Component::Table);
                    return Ok(Some(processor));
                }
                Err(error) if error.kind_at_start() == ErrorKind::Retry => error,
                Err(error) => {
                    let ownership = Arc::new(Ownership::new(self.name));
                    StatusWriter::new(self.name, ownership, pool).end(Some(with_causes(&error))).await;
                    return Err(error);
                }
            };
            metrics::error(self.name, ErrorKind::Retry);
            let error = with_causes(&error);
            tracing::warn!(projection = self.name, error, "start failed, retrying");
            self.status.report(Component::Table, format!("starting: {error}"));
            let delay = tokio::time::sleep(delays.next().unwrap_or_default());
            shutdown.run_until_cancelled(delay).await;
        }
        Ok(None)
    }

    fn pool(&self) -> Result<PgPool, ProjectionError> {
        let pool = self.options.postgres.projection_pool(self.name, self.options.session_timeout());
        pool.map_err(|source| ProjectionError::Url { projection: self.name, source })
    }

    fn check_options(&self) -> Result<(), ProjectionError> {
        let Options { batch_size, queue_size, concurrency, .. } = self.options;
        for (option, value) in
            [("batch_size", batch_size), ("queue_size", queue_size), ("concurrency", concurrency)]
        {
            if value < 1 {
                let problem = "must be at least 1".to_owned();
                return Err(ProjectionError::Option { projection: self.name, option, problem });
            }
        }
        self.options.cluster.validate().map_err(|source| {
            let problem = format!("contains \"{}\", which aqueduct sets: remove it", source.property);
            ProjectionError::Option { projection: self.name, option: "kafka.properties", problem }
        })
    }

    /// Runs the migrations and checks the table.
    async fn open(
        &self,
        pool: &PgPool,
        shutdown: &CancellationToken,
    ) -> Result<BatchProcessor, ProjectionError> {
        let projection = self.name;
        let failed = |source| {
            if is_denied(&source) {
                let role = pool.connect_options().get_username().to_owned();
                ProjectionError::Rights { projection, role, source }
            } else {
                ProjectionError::Migrate { projection, source }
            }
        };
        // One for all that is read: a connection goes back to the pool in the background, so that the next step would open another.
        let mut connection = pool.acquire().await.map_err(|source| failed(source.into()))?;
        if !is_migrated(&mut connection).await.map_err(|source| failed(source.into()))? {
            migrate(pool).await.map_err(failed)?;
        }
        let parts = Parts {
            connection,
            pool: pool.clone(),
            options: self.options.clone(),
            decoder: Arc::clone(&self.decoder),
            status: self.status.clone(),
            shutdown: shutdown.clone(),
        };
        Ok((self.build)(parts).await?)
    }
}
