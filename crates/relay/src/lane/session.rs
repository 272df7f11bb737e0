//! One session of a lane: from taking it over to losing it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::config::STOP_GRACE;
use crate::lane::batch::SealedBatch;
use crate::lane::batcher::LaneReader;
use crate::lane::call_watchdog::CallWatchdog;
use crate::lane::context::LaneContext;
use crate::lane::parking::Parking;
use crate::lane::writer::{LaneStart, Writer};
use crate::named_thread;

/// Takes the lane over, resumes at its checkpoint and relays until `stop` is cancelled (`Ok`) or something
/// fails. When it returns, the session no longer writes.
///
/// Events are read here, and Kafka's blocking calls run on a thread. While one batch is in its
/// transaction the next one fills.
pub(crate) async fn run(context: &Arc<LaneContext>, stop: &CancellationToken) -> Result<(), LaneError> {
    let (start_tx, start_rx) = oneshot::channel();
    let (seal, batches) = mpsc::channel();
    let (ended_tx, ended_rx) = oneshot::channel();
    let watchdog = Arc::new(CallWatchdog::new());
    let thread = format!("relay-{}-{}", context.definition.route.name, context.definition.lane);
    let writer =
        Writer { context: Arc::clone(context), batches, watchdog: Arc::clone(&watchdog), stop: stop.clone() };
    named_thread::spawn(&thread, move || {
        // Nobody waits for the thread of a session that has been given up.
        let _abandoned = ended_tx.send(writer.run(start_tx));
    })?;

    let mut ended =
        std::pin::pin!(async { ended_rx.await.unwrap_or(Err(LaneError::ThreadEnded { name: thread })) });
    // A transaction waits at most one timeout for its deliveries and one for its commit.
    let limit = context.options.transaction_timeout() * 2 + Duration::from_secs(30);
    let mut hung = std::pin::pin!(watchdog.hung(limit));
    let read = tokio::select! {
        biased;
        result = &mut ended => return result,
        seconds = &mut hung => return Err(LaneError::Hung { seconds }),
        read = read_events(context, start_rx, seal, stop) => read,
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
    start_rx: oneshot::Receiver<LaneStart>,
    seal: mpsc::Sender<SealedBatch>,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let LaneStart { checkpoint, loaded } = tokio::select! {
        start = start_rx => match start {
            Ok(start) => start,
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
