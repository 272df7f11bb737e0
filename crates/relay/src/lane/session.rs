//! One session of a lane: from taking it over to losing it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::config::STOP_GRACE;
use crate::lane::batch::SealedBatch;
use crate::lane::batcher::Batcher;
use crate::lane::call_watchdog::CallWatchdog;
use crate::lane::context::LaneContext;
use crate::lane::lane_reader;
use crate::lane::request_executor::RequestExecutor;
use crate::lane::route_selector::RouteSelector;
use crate::lane::writer::{LaneStart, Writer};
use crate::named_thread;
use crate::reader::feed::LaneFeed;
use crate::reader::filter::LaneFilter;

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

    let ended = async { ended_rx.await.unwrap_or(Err(LaneError::ThreadEnded { name: thread })) };
    // A transaction waits at most one timeout for its deliveries and one for its commit.
    let limit = context.options.transaction_timeout() * 2 + Duration::from_secs(30);
    let hung = watchdog.hung(limit);
    // One deadline for reading and writing: the group waits for both, and for the last report, `STOP_GRACE * 2`.
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    until_ended(read_events(context, start_rx, seal, stop), ended, hung, late).await
}

/// Waits until a session has stopped reading and its thread has ended. Gives up what is not done when `late` completes.
async fn until_ended(
    reading: impl Future<Output = Result<(), LaneError>>,
    ended: impl Future<Output = Result<(), LaneError>>,
    hung: impl Future<Output = u64>,
    late: impl Future<Output = ()>,
) -> Result<(), LaneError> {
    let (mut ended, mut hung) = (std::pin::pin!(ended), std::pin::pin!(hung));
    let late = late.shared();
    let read = tokio::select! {
        biased;
        result = &mut ended => return result,
        seconds = &mut hung => return Err(LaneError::Hung { seconds }),
        read = reading => read,
        // Reading may hang in a call to the store.
        () = late.clone() => Ok(()),
    };
    // The thread has no more batches to come: it finishes the current one.
    let written = tokio::select! {
        biased;
        result = &mut ended => result,
        seconds = &mut hung => Err(LaneError::Hung { seconds }),
        () = late => Ok(()),
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
    let LaneContext { definition, store, readers, reporter, .. } = context;
    let position = checkpoint.as_ref().map(|it| it.position);
    definition.check_store(position, store.last_position().await?)?;
    reporter.position.send_replace(position);
    tracing::info!(
        route = definition.route.name,
        lane = definition.lane,
        position = position.map(tracing::field::display),
        "resuming lane"
    );
    reporter.set_parked(loaded.as_ref().map_or(0, |it| it.exceptions.counts().parked));
    let executor = loaded.map(|loaded| RequestExecutor::start(context, loaded)).transpose()?;
    let since = checkpoint.as_ref().map(|it| definition.added_types(it)).unwrap_or_default();
    let selector = RouteSelector::new(&definition.route.selection(), &since);
    let filter = LaneFilter { selector, lane: definition.lane };
    let feed = LaneFeed::open(readers, &definition.id(), filter, position);
    lane_reader::run(context, Batcher::new(context, checkpoint, executor), feed, seal, stop).await
}

#[cfg(test)]
mod tests {
    use futures::future::{pending, ready};

    use super::*;

    #[test]
    fn one_deadline_ends_reading_and_writing_that_hang() {
        let ended = until_ended(pending(), pending(), pending(), ready(())).now_or_never();
        ended.expect("no second wait").unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut waiting = until_ended(pending(), pending(), pending(), stopped.map(|_| ())).boxed();
        assert!((&mut waiting).now_or_never().is_none(), "not late yet");
        drop(stop);
        waiting.now_or_never().expect("late").unwrap();
    }

    #[test]
    fn the_thread_finishes_what_was_read() {
        let (done, ended) = oneshot::channel();
        let ended = ended.map(|it| it.unwrap());
        let mut waiting = until_ended(ready(Ok(())), ended, pending(), pending()).boxed();
        assert!((&mut waiting).now_or_never().is_none(), "the thread still writes");
        done.send(Err(LaneError::SubscriptionEnded)).unwrap();
        waiting.now_or_never().expect("an end").unwrap_err();
    }
}
