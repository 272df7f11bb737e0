//! Sessions with Kafka: from joining the consumer group to leaving it.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{ErrorKind, with_causes};
use aqueduct_kafka::BrokerWatch;
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::runner::Completion;
use crate::batch::turn::Turns;
use crate::error::ProjectionError;
use crate::kafka::client::{self, ConsumerState};
use crate::kafka::poll;
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
/// Batches that are read or written at the same time.
const MOST_IN_FLIGHT: usize = 2;

/// The sessions of a projection, one after the other.
pub(crate) struct Sessions<'a> {
    pub(crate) projection: &'static str,
    pub(crate) topics: &'static [&'static str],
    pub(crate) options: &'a Options,
    pub(crate) status: &'a StatusReporter,
    pub(crate) processor: &'a BatchProcessor,
    pub(crate) monitor: &'a PostgresMonitor,
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
        let context = ConsumerState {
            projection,
            pool: self.processor.pool.clone(),
            timeout: self.options.postgres.timeout(),
            ownership: Arc::clone(&self.processor.ownership),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
            status: self.status.clone(),
            brokers: self.options.cluster.brokers.clone(),
            watch: BrokerWatch::new(self.options.session_timeout()),
            failure: Arc::clone(&failure),
        };
        let consumer = client::join(self.options, self.topics, context);
        let consumer = consumer.map_err(|source| ProjectionError::Kafka { projection, source })?;
        let (queue, mut records) = mpsc::channel(self.options.queue_size);
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
        let mut next_step = Instant::now();
        let mut turns = Turns::default();
        let mut in_flight = FuturesOrdered::new();
        while !self.processor.ownership.take_rejoin_request() {
            let is_step_due = Instant::now() >= next_step;
            if is_step_due && in_flight.is_empty() {
                let pause = match self.execute_step().await {
                    RequestStep::Executed => Duration::ZERO,
                    RequestStep::NothingToDo => STEP_INTERVAL,
                };
                next_step = Instant::now() + pause;
                // A batch comes between two steps, so that neither waits for the other for long.
            }
            // While a batch is written, the next one is read, but only if it need not wait for more records.
            let takes_records = in_flight.is_empty()
                || (!is_step_due
                    && in_flight.len() < MOST_IN_FLIGHT
                    && queue.len() >= self.options.batch_size / 2);
            let mut records = Vec::new();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(completion) = in_flight.next() => self.finish(completion?).await,
                received = queue.recv_many(&mut records, self.options.batch_size), if takes_records => {
                    if received == 0 {
                        break;
                    }
                    self.fill(queue, &mut records).await;
                    in_flight.push_back(self.processor.process(records, turns.next()));
                }
                () = tokio::time::sleep_until(next_step), if in_flight.is_empty() => {}
            }
        }
        while let Some(completion) = in_flight.next().await {
            self.finish(completion?).await;
        }
        Ok(())
    }

    /// After a batch.
    async fn finish(&self, completion: Completion) {
        if let Completion::Committed(outcome) = completion
            && outcome.parked > 0
        {
            self.monitor.count_parked().await;
        }
    }

    /// Lets a batch wait for more records, if it is configured to.
    async fn fill(&self, queue: &mut mpsc::Receiver<Record>, records: &mut Vec<Record>) {
        let size = self.options.batch_size;
        let fill = async {
            while records.len() < size && queue.recv_many(records, size - records.len()).await > 0 {}
        };
        if self.options.batch_wait_ms > 0 {
            // The batch is what was received until then.
            let _ = tokio::time::timeout(self.options.batch_wait(), fill).await;
        }
    }
}
