//! Sessions with Kafka: from joining the consumer group to leaving it.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{ErrorKind, with_causes};
use aqueduct_kafka::BrokerWatch;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::runner::Completion;
use crate::batch::schedule::{Schedule, ScheduledBatch};
use crate::error::ProjectionError;
use crate::kafka::client::{self, ConsumerState};
use crate::kafka::poll;
use crate::kafka::shared::SharedConsumer;
use crate::kafka::shared::member::SharedMember;
use crate::kafka::topic_ids::TopicIds;
use crate::metrics;
use crate::options::Options;
use crate::parked::execute::RequestStep;
use crate::postgres::monitor::PostgresMonitor;
use crate::processor::BatchProcessor;
use crate::record::Record;
use crate::status::{Component, JOINING, StatusReporter};

/// Pause between two sessions, so that a persistent error does not cause a busy loop.
const BETWEEN_SESSIONS: Duration = Duration::from_secs(1);
/// Interval of the checks for requests to replay or discard parked events.
const STEP_INTERVAL: Duration = Duration::from_secs(1);
/// Delay of the first check. At once nothing is claimed yet, and the check would need a connection beside that of the claims.
const FIRST_STEP: Duration = Duration::from_millis(500);
/// Batches that are read or written at the same time: Postgres and this process then have work for two cores.
const MOST_IN_FLIGHT: usize = 2;

/// The sessions of a projection, one after the other.
pub(crate) struct Sessions<'a> {
    pub(crate) projection: &'static str,
    pub(crate) topics: &'static [&'static str],
    pub(crate) options: &'a Options,
    pub(crate) status: &'a StatusReporter,
    pub(crate) processor: &'a BatchProcessor,
    pub(crate) monitor: &'a PostgresMonitor,
    pub(crate) shared: Option<&'a SharedConsumer>,
}

impl Sessions<'_> {
    /// Runs sessions until shutdown, or until an error that a retry does not solve.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        while !shutdown.is_cancelled() {
            self.session(shutdown).await?;
            shutdown.run_until_cancelled(tokio::time::sleep(BETWEEN_SESSIONS)).await;
        }
        Ok(())
    }

    /// From joining the group to leaving it.
    async fn session(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let projection = self.projection;
        self.status.report(Component::Group, JOINING);
        // The new client's watch reports only changes.
        self.status.clear(Component::Brokers);
        let failure = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let (queue, mut records) = mpsc::channel(self.read_ahead());
        let shared = self.shared.map(|shared| {
            SharedMember::new(shared.clone(), Arc::clone(&self.processor.ownership), queue.clone())
        });
        let topics: Vec<_> = self.topics.iter().map(|topic| self.options.topic(topic)).collect();
        let context = ConsumerState {
            projection,
            topic_ids: TopicIds::new(projection, topics.clone()),
            pool: self.processor.pool.clone(),
            timeout: self.options.postgres.timeout(),
            ownership: Arc::clone(&self.processor.ownership),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
            status: self.status.clone(),
            brokers: self.options.cluster.brokers.clone(),
            watch: BrokerWatch::new(self.options.session_timeout()),
            shared,
            failure: Arc::clone(&failure),
        };
        let consumer = client::join(self.options, &topics, context);
        let consumer = consumer.map_err(|source| ProjectionError::Kafka { projection, source })?;
        // Blocking for a whole session, including librdkafka's callbacks. It ends soon after `stop`, also if
        // nobody awaits it.
        let polling = tokio::task::spawn_blocking(move || poll::poll(&consumer, &queue));
        let ended = self.consume(&mut records, shutdown).await;
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
    async fn execute_step(&self) -> RequestStep {
        match self.processor.execute_step().await {
            Ok(step) => step,
            Err(error) => {
                metrics::error(self.projection, ErrorKind::Retry);
                tracing::warn!(
                    projection = self.projection,
                    error = with_causes(&error),
                    "a request for parked events failed, retrying"
                );
                RequestStep::NothingToDo
            }
        }
    }

    async fn consume(
        &self,
        queue: &mut mpsc::Receiver<Record>,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        // Of the session before.
        self.processor.ownership.take_rejoin_request();
        let mut next_step = Instant::now() + FIRST_STEP;
        // When the records that wait make a batch, however few they are.
        let mut batch_due = Instant::now();
        let mut schedule = Schedule::new(self.options.batch_size, self.read_ahead());
        let mut in_flight = FuturesUnordered::new();
        while !self.processor.ownership.take_rejoin_request() {
            let is_step_due = Instant::now() >= next_step;
            if is_step_due && in_flight.is_empty() {
                let pause = match self.execute_step().await {
                    RequestStep::Executed => Duration::ZERO,
                    RequestStep::NothingToDo => STEP_INTERVAL,
                };
                next_step = Instant::now() + pause;
            }
            // A batch comes between two steps, so that neither waits for the other for long.
            let may_start = !is_step_due || in_flight.is_empty();
            if may_start && (Instant::now() >= batch_due || schedule.is_ample()) {
                while schedule.running() < MOST_IN_FLIGHT
                    && let Some(ScheduledBatch { id, records, turn }) = schedule.next()
                {
                    in_flight.push(async move { (id, self.processor.process(records, turn).await) });
                }
            }
            let mut records = Vec::new();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some((id, completion)) = in_flight.next() => {
                    schedule.finish(id);
                    self.finish(completion?);
                }
                received = queue.recv_many(&mut records, schedule.room()), if schedule.room() > 0 => {
                    if received == 0 {
                        break;
                    }
                    if schedule.is_empty() {
                        batch_due = Instant::now() + self.options.batch_wait();
                    }
                    schedule.add(records);
                }
                () = tokio::time::sleep_until(batch_due), if !schedule.is_empty() && Instant::now() < batch_due => {}
                () = tokio::time::sleep_until(next_step), if in_flight.is_empty() => {}
            }
        }
        while let Some((_, completion)) = in_flight.next().await {
            self.finish(completion?);
        }
        Ok(())
    }

    /// Records that wait in the poll thread's queue, and as many again that wait in the schedule.
    fn read_ahead(&self) -> usize {
        self.options.queue_size.div_ceil(2)
    }

    /// After a batch.
    fn finish(&self, completion: Completion) {
        if let Completion::Committed(outcome) = completion
            && outcome.parked > 0
        {
            self.monitor.parked.notify_one();
        }
    }
}
