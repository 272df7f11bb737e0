//! One session of a lane: from taking it over to losing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use aqueduct_core::EventStore;
use aqueduct_kafka::Cluster;
use aqueduct_schema::RecordEncoder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::config::STOP_GRACE;
use crate::kafka::producer::TransactionalProducer;
use crate::lane::batch::SealedBatch;
use crate::lane::batcher::LaneReader;
use crate::lane::load::load;
use crate::lane::parking::{Loaded, Parking};
use crate::lane::resume::{Resumed, resume};
use crate::lane_definition::LaneDefinition;
use crate::named_thread;
use crate::options::Options;
use crate::record::checkpoint::Checkpoint;
use crate::record::exception::ExceptionCounts;
use crate::status::LaneReporter;

/// How soon a lane with nothing to write notices that its brokers are gone.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// What a lane needs to do its work.
pub(crate) struct LaneContext {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: Arc<Options>,
    pub(crate) definition: LaneDefinition,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) encoder: RecordEncoder,
    pub(crate) reporter: LaneReporter,
}

/// Takes the lane over, resumes at its checkpoint and relays until `stop` is cancelled (`Ok`) or something
/// fails. When it returns, the session no longer writes.
///
/// Events are read here, and Kafka's blocking calls run on a thread. While one batch is in its
/// transaction the next one fills.
pub(crate) async fn run(context: &Arc<LaneContext>, stop: &CancellationToken) -> Result<(), LaneError> {
    let (started_tx, started_rx) = oneshot::channel();
    let (seal, batches) = mpsc::channel();
    let (ended_tx, ended_rx) = oneshot::channel();
    let watchdog = Arc::new(CallWatchdog::new());
    let thread = format!("relay-{}-{}", context.definition.route.name, context.definition.lane);
    {
        let (context, watchdog, stop) = (Arc::clone(context), Arc::clone(&watchdog), stop.clone());
        named_thread::spawn(&thread, move || {
            // Nobody waits for the thread of a session that has been given up.
            let _abandoned = ended_tx.send(write(&context, started_tx, batches, &watchdog, &stop));
        })?;
    }

    let mut ended =
        std::pin::pin!(async { ended_rx.await.unwrap_or(Err(LaneError::ThreadEnded { name: thread })) });
    // A transaction waits at most one timeout for its deliveries and one for its commit.
    let limit = context.options.transaction_timeout() * 2 + Duration::from_secs(30);
    let mut hung = std::pin::pin!(watchdog.hung(limit));
    let read = tokio::select! {
        biased;
        result = &mut ended => return result,
        seconds = &mut hung => return Err(LaneError::Hung { seconds }),
        read = read_events(context, started_rx, seal, stop) => read,
        // Reading may hang in a call to the store; the batches that were sealed are written all the same.
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => Ok(()),
    };
    // The thread has no more batches to come: it finishes the current one.
    let written = tokio::select! {
        biased;
        result = &mut ended => result,
        seconds = &mut hung => Err(LaneError::Hung { seconds }),
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => Ok(()),
    };
    read.and(written)
}

/// Reads the store and seals batches, once the thread has found where the lane resumes.
async fn read_events(
    context: &LaneContext,
    started: oneshot::Receiver<(Option<Checkpoint>, Option<Loaded>)>,
    seal: mpsc::Sender<SealedBatch>,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let (checkpoint, loaded) = tokio::select! {
        started = started => match started {
            Ok(started) => started,
            // The thread has ended and reports the reason.
            Err(_) => return Ok(()),
        },
        () = stop.cancelled() => return Ok(()),
    };
    let LaneContext { cluster, options, definition, store, encoder, reporter } = context;
    let position = checkpoint.as_ref().map(|it| it.position);
    definition.check_store(position, store.last_position().await?)?;
    reporter.position.send_replace(position);
    tracing::info!(
        route = definition.route.name,
        lane = definition.lane,
        position = position.map(tracing::field::display),
        "resuming lane"
    );
    let max_bytes = options.max_record_bytes.get();
    reporter.set_parked(loaded.as_ref().map_or(0, |it| it.exceptions.counts().parked));
    let parking = loaded.map(|loaded| Parking::start(loaded, definition.lane, max_bytes)).transpose()?;
    let store = store.as_ref();
    LaneReader { source: &cluster.source, options, definition, store, encoder, reporter }
        .run(checkpoint, parking, seal, stop)
        .await
}

/// The session's thread.
fn write(
    context: &LaneContext,
    started: oneshot::Sender<(Option<Checkpoint>, Option<Loaded>)>,
    batches: mpsc::Receiver<SealedBatch>,
    watchdog: &CallWatchdog,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let LaneContext { cluster, options, definition, .. } = context;
    let id = definition.route.transactional_id(&cluster.prefix, definition.lane);
    let mut producer = watchdog.during(|| TransactionalProducer::open(cluster, options, &id))?;
    let written = write_batches(&mut producer, context, started, batches, watchdog, stop);
    // The end of a client may hang as well.
    watchdog.during(|| drop(producer));
    written
}

fn write_batches(
    producer: &mut TransactionalProducer,
    context: &LaneContext,
    started: oneshot::Sender<(Option<Checkpoint>, Option<Loaded>)>,
    batches: mpsc::Receiver<SealedBatch>,
    watchdog: &CallWatchdog,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let LaneContext { cluster, options, definition, reporter, .. } = context;
    // Only now, when the producers before this one are fenced, is the end of a topic final.
    let Resumed { checkpoint, parked, reading } =
        watchdog.during(|| resume(cluster, options, definition, &reporter.metrics, producer))?;
    let loaded = match parked {
        None => {
            let topic = definition.route.exceptions_topic(&cluster.prefix);
            definition.check_exceptions(checkpoint.as_ref(), &topic, ExceptionCounts::default())?;
            None
        }
        Some(topics) => {
            let tick = || watchdog.tick();
            let load = || load(&reading, &topics.exceptions, definition.lane, stop, tick);
            let Some(exceptions) = watchdog.during(load)? else { return Ok(()) };
            definition.check_exceptions(checkpoint.as_ref(), &topics.exceptions, exceptions.counts())?;
            Some(Loaded { topics, exceptions, reading })
        }
    };
    if started.send((checkpoint, loaded)).is_err() {
        return Ok(());
    }
    loop {
        let SealedBatch { mut batch, turn } = match batches.recv_timeout(IDLE_CHECK) {
            Ok(sealed) => sealed,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                producer.check()?;
                continue;
            }
        };
        if stop.is_cancelled() {
            return Ok(());
        }
        let records = std::mem::take(&mut batch.records);
        let entered = batch.opened.as_ref().map(|(_, span)| span.enter(batch.events));
        let written = watchdog.during(|| producer.commit_batch(records));
        drop(entered);
        drop(turn);
        if let Err(error) = written {
            reporter.metrics.transaction("failed");
            return Err(error.into());
        }
        batch.count(&reporter.metrics);
        if let Some(parked) = batch.parked {
            reporter.set_parked(parked);
        }
        reporter.position.send_replace(batch.position);
    }
}

/// Detects a thread that hangs in a call.
struct CallWatchdog {
    epoch: Instant,
    /// Milliseconds from the epoch to the start of the current call, plus one; 0 between calls.
    since: AtomicU64,
}

impl CallWatchdog {
    fn new() -> Self {
        Self { epoch: Instant::now(), since: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64 + 1
    }

    /// Tells that the call under way does not hang.
    fn tick(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    fn during<T>(&self, call: impl FnOnce() -> T) -> T {
        self.since.store(self.now(), Ordering::Relaxed);
        let result = call();
        self.since.store(0, Ordering::Relaxed);
        result
    }

    /// Completes, with the seconds it has taken, when a call takes longer than the limit.
    async fn hung(&self, limit: Duration) -> u64 {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let since = self.since.load(Ordering::Relaxed);
            let taken = Duration::from_millis(self.now().saturating_sub(since));
            if since > 0 && taken > limit {
                return taken.as_secs();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_does_not_return_is_noticed() {
        let watchdog = Arc::new(CallWatchdog::new());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = {
            let watchdog = Arc::clone(&watchdog);
            std::thread::spawn(move || watchdog.during(|| released.recv()))
        };
        let hung = watchdog.hung(Duration::from_millis(1));
        tokio::time::timeout(Duration::from_secs(60), hung).await.expect("noticed in time");
        drop(release);
        thread.join().unwrap().unwrap_err();
        assert_eq!(watchdog.since.load(Ordering::Relaxed), 0, "between calls nothing hangs");
    }
}
