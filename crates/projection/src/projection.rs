//! A projection as a component: options, run, stop.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::ErrorKind;
use aqueduct_schema::{RecordDecoder, Registry};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::PgPool;
use sqlx::migrate::MigrateError;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::batch::describe;
use crate::batches::Batches;
use crate::consumer::{self, Context};
use crate::deltas::DeltasHandler;
use crate::handler::Handler;
use crate::inbox::Inboxes;
use crate::ownership::Ownership;
use crate::postgres::{error_kind, migrate};
use crate::processor::{Ending, Process, Processor};
use crate::reactor::ReactorHandler;
use crate::status::{Board, JOINING, Part, Status};
use crate::view::ViewHandler;
use crate::{Decoder, Deltas, Options, ProjectionError, Reactor, Record, TableError, View, backoff, metrics};

/// Between two sessions with Kafka, so that a fault that stays does not make it spin.
const BETWEEN_SESSIONS: Duration = Duration::from_secs(1);
/// How often Postgres is asked whether it answers, and how long it may take.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// The parked events are counted at each so-many-th look.
const COUNT_PARKED_EVERY: u64 = 4;

/// A view, deltas or a reactor that is ready to run.
///
/// *Delivery:* each event is applied once, whatever is killed and whatever is delivered again; a reactor's
/// effects are made at least once. *Order:* as in the stream. *Concurrency:* any number of instances share
/// the partitions of the topics; what one of them still does with a partition that it has lost is refused by
/// Postgres.
pub struct Projection {
    name: &'static str,
    topics: &'static [&'static str],
    options: Options,
    decoder: Arc<dyn Decoder>,
    board: Board,
    make: Make,
}

/// Looks at the table and makes the handler with all that comes before and after it.
type Make = Box<dyn Fn(Parts) -> BoxFuture<'static, Result<Arc<dyn Process>, TableError>> + Send + Sync>;

pub(crate) struct Parts {
    pool: PgPool,
    options: Options,
    decoder: Arc<dyn Decoder>,
    ownership: Arc<Ownership>,
    board: Board,
    shutdown: CancellationToken,
}

impl Parts {
    fn processor<H: Handler>(self, handler: H) -> Arc<dyn Process> {
        Arc::new(Processor {
            handler,
            pool: self.pool,
            timeout: self.options.postgres.timeout(),
            decoder: self.decoder,
            source: self.options.source,
            inboxes: Inboxes::new(H::NAME, self.options.generation),
            ownership: self.ownership,
            concurrency: self.options.concurrency,
            board: self.board,
            shutdown: self.shutdown,
        })
    }
}

impl Projection {
    /// A view.
    pub fn view<V: View>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(V::NAME, V::TOPICS, options, decoder, |parts| {
            Box::pin(async move {
                let handler = ViewHandler::<V>::new(&parts.pool).await?;
                Ok(parts.processor(handler))
            })
        })
    }

    /// A sum of deltas.
    pub fn deltas<D: Deltas>(options: Options, decoder: Arc<dyn Decoder>) -> Self {
        Self::new(D::NAME, D::TOPICS, options, decoder, |parts| {
            Box::pin(async move {
                let handler = DeltasHandler::<D>::new(&parts.pool).await?;
                Ok(parts.processor(handler))
            })
        })
    }

    /// A reactor.
    pub fn reactor<R: Reactor>(options: Options, decoder: Arc<dyn Decoder>, reactor: R) -> Self {
        let reactor = Arc::new(reactor);
        Self::new(R::NAME, R::TOPICS, options, decoder, move |parts| {
            let handler = ReactorHandler(Arc::clone(&reactor));
            Box::pin(async move { Ok(parts.processor(handler)) })
        })
    }

    fn new(
        name: &'static str,
        topics: &'static [&'static str],
        options: Options,
        decoder: Arc<dyn Decoder>,
        make: impl Fn(Parts) -> BoxFuture<'static, Result<Arc<dyn Process>, TableError>> + Send + Sync + 'static,
    ) -> Self {
        Self { name, topics, options, decoder, board: Board::new(), make: Box::new(make) }
    }

    /// Name of the projection.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What keeps it from its work.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Runs until `shutdown`: the batch at hand is finished, the group left. Faults that may pass (Postgres,
    /// Kafka or the registry gone) are waited out; an error is one that waiting does not cure, and after a
    /// restart the work goes on from what was committed.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ProjectionError> {
        let result = self.run_sessions(&shutdown).await;
        if let Err(error) = &result {
            self.board.problem(Part::Halted, format!("halted: {}", describe(error)));
        }
        result
    }

    async fn run_sessions(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let Some(batches) = self.start(shutdown).await? else { return Ok(()) };
        let sessions = async {
            while !shutdown.is_cancelled() {
                self.session(&batches, shutdown).await?;
                shutdown.run_until_cancelled(tokio::time::sleep(BETWEEN_SESSIONS)).await;
            }
            Ok(())
        };
        tokio::select! {
            ended = sessions => ended,
            () = self.look_at_postgres(&batches) => Ok(()),
        }
    }

    /// Sees whether Postgres answers, and now and then how many events are parked. Never completes.
    async fn look_at_postgres(&self, batches: &Batches) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 0_u64.. {
            looks.tick().await;
            if look.is_multiple_of(COUNT_PARKED_EVERY) {
                self.count_parked(batches).await;
            }
            match tokio::time::timeout(LOOK_EVERY, batches.look()).await {
                Ok(Ok(())) => self.board.solved(Part::Postgres),
                Ok(Err(error)) => {
                    self.board.problem(Part::Postgres, format!("postgres: {}", describe(&error)))
                }
                Err(_) => self
                    .board
                    .problem(Part::Postgres, format!("postgres does not answer within {LOOK_EVERY:?}")),
            }
        }
    }

    /// A failure leaves the number that was shown last: the next look says what is wrong.
    async fn count_parked(&self, batches: &Batches) {
        let _ = tokio::time::timeout(LOOK_EVERY, batches.count_parked()).await;
    }

    /// The part of the projection after Kafka, to be given records by hand: for measurements, and for tests
    /// that need no Kafka. Makes the tables of the inbox; does not wait for a server that is not there.
    pub async fn batches(&self) -> Result<Batches, ProjectionError> {
        self.check_options()?;
        self.open(&self.pool()?, &CancellationToken::new()).await
    }

    /// Waits for Postgres, if need be. `None`: the process is to end.
    async fn start(&self, shutdown: &CancellationToken) -> Result<Option<Batches>, ProjectionError> {
        self.check_options()?;
        let pool = self.pool()?;
        let mut waits = backoff::waits();
        while !shutdown.is_cancelled() {
            let error = match self.open(&pool, shutdown).await {
                Ok(batches) => {
                    self.board.solved(Part::Table);
                    return Ok(Some(batches));
                }
                Err(error) if error.kind() == ErrorKind::Retry => error,
                Err(error) => return Err(error),
            };
            metrics::error(self.name, ErrorKind::Retry);
            let error = describe(&error);
            tracing::warn!(projection = self.name, error, "not started yet, will be tried again");
            self.board.problem(Part::Table, format!("starting: {error}"));
            let wait = tokio::time::sleep(waits.next().unwrap_or_default());
            shutdown.run_until_cancelled(wait).await;
        }
        Ok(None)
    }

    fn pool(&self) -> Result<PgPool, ProjectionError> {
        let pool = self.options.postgres.pool(self.name);
        pool.map_err(|source| ProjectionError::Postgres { projection: self.name, source })
    }

    fn check_options(&self) -> Result<(), ProjectionError> {
        let Options { generation, batch_size, queue_size, concurrency, .. } = self.options;
        for (option, wrong) in [
            ("generation", generation < 1),
            ("batch_size", batch_size < 1),
            ("queue_size", queue_size < 1),
            ("concurrency", concurrency < 1),
        ] {
            if wrong {
                let problem = "must be at least 1".to_owned();
                return Err(ProjectionError::Option { projection: self.name, option, problem });
            }
        }
        Ok(())
    }

    /// Migrates and looks at the table.
    async fn open(&self, pool: &PgPool, shutdown: &CancellationToken) -> Result<Batches, ProjectionError> {
        let projection = self.name;
        migrate(pool).await.map_err(|source| ProjectionError::Migrate { projection, source })?;
        let ownership = Arc::new(Ownership::new(projection, self.options.generation));
        let parts = Parts {
            pool: pool.clone(),
            options: self.options.clone(),
            decoder: Arc::clone(&self.decoder),
            ownership: Arc::clone(&ownership),
            board: self.board.clone(),
            shutdown: shutdown.clone(),
        };
        let process = (self.make)(parts).await?;
        Ok(Batches::new(projection, self.options.generation, pool.clone(), ownership, process))
    }

    /// From joining the group to leaving it.
    async fn session(&self, batches: &Batches, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let projection = self.name;
        self.board.problem(Part::Group, JOINING);
        let failure = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let context = Context {
            projection,
            pool: batches.pool.clone(),
            timeout: self.options.postgres.timeout(),
            ownership: Arc::clone(&batches.ownership),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
            board: self.board.clone(),
            brokers: self.options.brokers.clone(),
            session_timeout: Duration::from_millis(self.options.session_timeout_ms.into()),
            unreachable: Mutex::default(),
            failure: Arc::clone(&failure),
        };
        let consumer = consumer::join(&self.options, self.topics, context);
        let consumer = consumer.map_err(|error| ProjectionError::kafka(projection, error))?;
        let (queue, mut records) = mpsc::channel(self.options.queue_size);
        // Blocking work of a whole session, with librdkafka's callbacks in it. It ends soon after `stop`, also
        // when nobody waits for it any more.
        let polling = tokio::task::spawn_blocking(move || consumer::poll(&consumer, &queue));
        let ended = self.consume(batches, &mut records, shutdown).await;
        stop.cancel();
        drop(records);
        let polled = polling.await;
        ended?;
        if let Some(error) = failure.lock().take() {
            return Err(error);
        }
        polled.map_err(|source| ProjectionError::Batch { projection, source: source.into() })
    }

    async fn consume(
        &self,
        batches: &Batches,
        queue: &mut mpsc::Receiver<Record>,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        loop {
            let mut records = Vec::new();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                received = queue.recv_many(&mut records, self.options.batch_size) => if received == 0 {
                    return Ok(());
                },
            }
            if self.options.batch_wait_ms > 0 {
                let fill = fill(queue, &mut records, self.options.batch_size);
                // What has come until then is the batch.
                let _ = tokio::time::timeout(self.options.batch_wait(), fill).await;
            }
            if let Ending::Committed(outcome) = batches.process(records).await?
                && outcome.parked > 0
            {
                self.count_parked(batches).await;
            }
            if batches.ownership.must_rejoin() {
                return Ok(());
            }
        }
    }
}

async fn fill(queue: &mut mpsc::Receiver<Record>, records: &mut Vec<Record>, size: usize) {
    while records.len() < size && queue.recv_many(records, size - records.len()).await > 0 {}
}

/// The decoder of the records that the relay writes.
pub fn registry_decoder(
    options: &aqueduct_schema::RegistryOptions,
) -> Result<Arc<dyn Decoder>, aqueduct_schema::RegistryError> {
    Ok(Arc::new(RecordDecoder::new(Registry::new(options)?)))
}

impl ProjectionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Migrate {
                source: MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
                ..
            }
            | Self::Table(TableError::Postgres { source: error, .. }) => error_kind(error),
            _ => ErrorKind::Stop,
        }
    }
}
