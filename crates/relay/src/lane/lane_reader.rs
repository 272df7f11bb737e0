//! The async side of a lane's session: reads events and requests, and hands on batches.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::lane::batch::SealedBatch;
use crate::lane::batcher::Batcher;
use crate::lane::context::LaneContext;
use crate::reader::feed::{LaneFeed, Received};
use crate::status::LaneState;

/// Reads the lane's events and hands on batches, until `stop` is cancelled or nobody takes them. While one batch is in its
/// transaction the next one fills.
pub(crate) async fn run(
    context: &LaneContext,
    mut batcher: Batcher<'_>,
    mut feed: LaneFeed,
    batches: mpsc::Sender<SealedBatch>,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let turns = Arc::new(Semaphore::new(1));
    context.reporter.set(LaneState::Running);
    loop {
        batcher.resolve_halted_requests().await;
        if batcher.is_halted() {
            // It may take days: others must not keep events for it.
            feed.pause();
            batcher.drop_read_ahead();
        } else {
            feed.resume(batcher.received());
        }
        batcher.set_behind(feed.is_behind());
        let (due_at, now) = (batcher.due_at(), Instant::now());
        let due = due_at.is_some_and(|at| at <= now);
        let overdue = is_overdue(due_at, now, context.options.idle_checkpoint());
        let committing = batcher.is_committing();
        // A full batch, or a due checkpoint without records, is sealed before more events are read.
        let urgent = batcher.is_full() || committing || overdue || (due && !batcher.is_open());
        let retry_at = batcher.retry_at();
        let takes_events = !urgent && retry_at.is_none() && batcher.takes_events();
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = until(retry_at), if retry_at.is_some() => batcher.retry().await,
            received = feed.next(), if takes_events => match received? {
                Received::Event(event) => {
                    batcher.look_ahead(&event, feed.upcoming());
                    batcher.handle_event(event).await?;
                }
                Received::Place(place) => batcher.pass(place),
                Received::Progress => {}
            },
            input = batcher.input(!urgent) => batcher.handle_input(input).await?,
            turn = Arc::clone(&turns).acquire_owned(), if urgent || due => {
                let Ok(turn) = turn else { return Ok(()) };
                if committing && !batcher.is_open() {
                    // The transaction before has ended, and there is nothing else to commit.
                    batcher.committed();
                    continue;
                }
                if batches.send(SealedBatch { batch: batcher.seal(), turn }).is_err() {
                    // The thread that writes them has ended and reports the reason.
                    return Ok(());
                }
            }
            () = until(due_at), if !due && due_at.is_some() => {}
        }
    }
}

/// Whether a batch must not wait any longer for a moment at which no event is ready: behind the head of the store there
/// may be none for hours.
fn is_overdue(due_at: Option<Instant>, now: Instant, patience: Duration) -> bool {
    due_at.is_some_and(|at| at + patience <= now)
}

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_for_ready_events_only_for_a_while() {
        let (now, patience) = (Instant::now() + Duration::from_secs(60), Duration::from_secs(10));
        assert!(!is_overdue(None, now, patience));
        assert!(!is_overdue(Some(now), now, patience));
        assert!(is_overdue(Some(now - patience), now, patience));
    }
}
