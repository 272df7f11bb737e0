//! A projection: its construction, and the loop that runs it.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{ErrorKind, with_causes};
use aqueduct_kafka::BrokerWatch;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::batch::context::BatchContext;
use crate::batch::processor::BatchProcessor;
use crate::batch::runner::{BatchRunner, Completion, RequestStep, RunBatch};
use crate::batch::table_fault::TableFaultDetector;
use crate::batch::transaction::Transactions;
use crate::error::ProjectionError;
use crate::inbox::Inboxes;
use crate::inbox::ownership::Ownership;
use crate::kafka::client::{self, ConsumerState};
use crate::kafka::poll;
use crate::model::deltas::{Deltas, DeltasHandler};
use crate::model::error::TableError;
use crate::model::handler::Handler;
use crate::model::reactor::{Reactor, ReactorHandler};
use crate::model::view::{View, ViewHandler};
use crate::options::Options;
use crate::postgres::migrate::migrate;
use crate::record::Record;
use crate::record::decode::Decoder;
use crate::status::{Component, JOINING, Status, StatusReporter};
use crate::status_record::StatusWriter;
use crate::{backoff, metrics};

/// Pause between two sessions with Kafka, so that a persistent error does not cause a busy loop.
const BETWEEN_SESSIONS: Duration = Duration::from_secs(1);
/// Interval of the checks whether Postgres answers, and their timeout.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Interval of the checks for requests to replay or discard parked events.
const STEP_INTERVAL: Duration = Duration::from_secs(1);
/// The parked events are counted with every n-th ping.
const PINGS_PER_COUNT: u64 = 4;

/// A view, deltas or a reactor that is ready to run.
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
}

/// Checks the table and builds the processor.
type Build = Box<dyn Fn(Parts) -> BoxFuture<'static, Result<Arc<dyn RunBatch>, TableError>> + Send + Sync>;

/// Everything a batch runner is built from, apart from its handler.
struct Parts {
    pool: PgPool,
    options: Options,
    decoder: Arc<dyn Decoder>,
    ownership: Arc<Ownership>,
    status: StatusReporter,
    shutdown: CancellationToken,
}

impl Parts {
    fn runner<H: Handler>(self, handler: H) -> Arc<dyn RunBatch> {
        Arc::new(BatchRunner {
            context: BatchContext {
                projection: H::NAME,
                ownership: self.ownership,
                status: self.status,
                shutdown: self.shutdown,
                concurrency: self.options.concurrency,
            },
            transactions: Transactions {
                handler,
                pool: self.pool,
                timeout: self.options.postgres.timeout(),
                table_faults: TableFaultDetector::default(),
            },
            decoder: self.decoder,
            source: self.options.cluster.source,
            inboxes: Inboxes::new(H::NAME),
        })
    }
}

impl Projection {
    /// Creates a projection that maintains the view `V`: one row per key. `decoder` decodes the payloads; use
    /// [`registry_decoder`](crate::registry_decoder) for records that the relay wrote.
    pub fn view<V: View>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(V::NAME, V::TOPICS, options, decoder, |parts| {
            Box::pin(async move {
                let handler = ViewHandler::<V>::new(&parts.pool).await?;
                Ok(parts.runner(handler))
            })
        })
    }

    /// Creates a projection that adds the deltas of each event to the rows of `D`. For `decoder` see
    /// [`view`](Self::view).
    pub fn deltas<D: Deltas>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(D::NAME, D::TOPICS, options, decoder, |parts| {
            Box::pin(async move {
                let handler = DeltasHandler::<D>::new(&parts.pool).await?;
                Ok(parts.runner(handler))
            })
        })
    }

    /// Creates a projection that calls `reactor` at least once for each event. For `decoder` see
    /// [`view`](Self::view).
    pub fn reactor<R: Reactor>(options: Options, decoder: Arc<dyn Decoder>, reactor: R) -> Self {
        let reactor = Arc::new(reactor);
        Self::new(R::NAME, R::TOPICS, options, decoder, move |parts| {
            let handler = ReactorHandler(Arc::clone(&reactor));
            Box::pin(async move { Ok(parts.runner(handler)) })
        })
    }

    fn new(
        name: &'static str,
        topics: &'static [&'static str],
        options: Options,
        decoder: Arc<dyn Decoder>,
        build: impl Fn(Parts) -> BoxFuture<'static, Result<Arc<dyn RunBatch>, TableError>> + Send + Sync + 'static,
    ) -> Self {
        Self { name, topics, options, decoder, status: StatusReporter::new(), build: Box::new(build) }
    }

    /// Name of the projection.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the status for health checks.
    pub fn status(&self) -> Status {
        self.status.status()
    }

    /// Runs until `shutdown` is cancelled, then finishes the current batch and leaves the group. Temporary errors
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
        let report = StatusWriter::new(self.name, ownership, processor.pool.clone());
        let sessions = async {
            while !shutdown.is_cancelled() {
                self.session(&processor, shutdown).await?;
                shutdown.run_until_cancelled(tokio::time::sleep(BETWEEN_SESSIONS)).await;
            }
            Ok(())
        };
        let ended: Result<(), ProjectionError> = tokio::select! {
            ended = sessions => ended,
            () = self.monitor_postgres(&processor) => Ok(()),
            () = report.follow(self.status()) => Ok(()),
        };
        report.end(ended.as_ref().err().map(|error| with_causes(error))).await;
        ended
    }

    /// Checks at intervals whether Postgres answers and how many events are parked. Never completes.
    async fn monitor_postgres(&self, processor: &BatchProcessor) {
        let mut ticks = tokio::time::interval(PING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for ping in 0_u64.. {
            ticks.tick().await;
            if ping.is_multiple_of(PINGS_PER_COUNT) {
                self.count_parked(processor).await;
            }
            let problem = match tokio::time::timeout(PING_INTERVAL, processor.ping()).await {
                Ok(Ok(())) => {
                    self.status.clear(Component::Postgres);
                    continue;
                }
                Ok(Err(error)) => format!("postgres: {}", with_causes(&error)),
                Err(_) => format!("postgres does not answer within {PING_INTERVAL:?}"),
            };
            self.status.report(Component::Postgres, problem);
        }
    }

    /// After a failure the gauge keeps its value: the next ping reports what is wrong.
    async fn count_parked(&self, processor: &BatchProcessor) {
        let _ = tokio::time::timeout(PING_INTERVAL, processor.count_parked()).await;
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
        migrate(pool).await.map_err(|source| ProjectionError::Migrate { projection, source })?;
        let ownership = Arc::new(Ownership::new(projection));
        let parts = Parts {
            pool: pool.clone(),
            options: self.options.clone(),
            decoder: Arc::clone(&self.decoder),
            ownership: Arc::clone(&ownership),
            status: self.status.clone(),
            shutdown: shutdown.clone(),
        };
        let process = (self.build)(parts).await?;
        Ok(BatchProcessor::new(projection, pool.clone(), ownership, process))
    }

    /// From joining the group to leaving it.
    async fn session(
        &self,
        processor: &BatchProcessor,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        let projection = self.name;
        self.status.report(Component::Group, JOINING);
        // The new client's watch reports only changes.
        self.status.clear(Component::Brokers);
        let failure = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let context = ConsumerState {
            projection,
            pool: processor.pool.clone(),
            timeout: self.options.postgres.timeout(),
            ownership: Arc::clone(&processor.ownership),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
            status: self.status.clone(),
            brokers: self.options.cluster.brokers.clone(),
            watch: BrokerWatch::new(self.options.session_timeout()),
            failure: Arc::clone(&failure),
        };
        let consumer = client::join(&self.options, self.topics, context);
        let consumer = consumer.map_err(|source| ProjectionError::Kafka { projection, source })?;
        let (queue, mut records) = mpsc::channel(self.options.queue_size);
        // Blocking for a whole session, including librdkafka's callbacks. It ends soon after `stop`, also if
        // nobody awaits it.
        let polling = tokio::task::spawn_blocking(move || poll::poll(&consumer, &queue));
        let ended = self.consume(processor, &mut records, shutdown).await;
        stop.cancel();
        drop(records);
        let polled = polling.await;
        ended?;
        if let Some(error) = failure.lock().take() {
            return Err(error);
        }
        polled.map_err(|source| ProjectionError::PollThread { projection, source })
    }

    /// Executes one step of a request for parked events. A failure is retried later.
    async fn execute_step(&self, processor: &BatchProcessor) -> RequestStep {
        match processor.execute_step().await {
            Ok(step) => step,
            Err(error) => {
                metrics::error(self.name, ErrorKind::Retry);
                tracing::warn!(
                    projection = self.name,
                    error = with_causes(&error),
                    "a request for parked events failed, retrying"
                );
                RequestStep::NothingToDo
            }
        }
    }

    async fn consume(
        &self,
        processor: &BatchProcessor,
        queue: &mut mpsc::Receiver<Record>,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        let mut next_step = Instant::now();
        loop {
            let mut records = Vec::new();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                received = queue.recv_many(&mut records, self.options.batch_size) => if received == 0 {
                    return Ok(());
                },
                () = tokio::time::sleep_until(next_step) => {}
            }
            // Between two batches, so that neither waits for the other for long.
            if Instant::now() >= next_step {
                let pause = match self.execute_step(processor).await {
                    RequestStep::Executed => Duration::ZERO,
                    RequestStep::NothingToDo => STEP_INTERVAL,
                };
                next_step = Instant::now() + pause;
            }
            if records.is_empty() {
                if processor.ownership.take_rejoin_request() {
                    return Ok(());
                }
                continue;
            }
            if self.options.batch_wait_ms > 0 {
                let fill = fill(queue, &mut records, self.options.batch_size);
                // The batch is what was received until then.
                let _ = tokio::time::timeout(self.options.batch_wait(), fill).await;
            }
            if let Completion::Committed(outcome) = processor.process(records).await?
                && outcome.parked > 0
            {
                self.count_parked(processor).await;
            }
            if processor.ownership.take_rejoin_request() {
                return Ok(());
            }
        }
    }
}

async fn fill(queue: &mut mpsc::Receiver<Record>, records: &mut Vec<Record>, size: usize) {
    while records.len() < size && queue.recv_many(records, size - records.len()).await > 0 {}
}
