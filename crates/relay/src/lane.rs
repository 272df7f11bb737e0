//! Runs the sessions of a lane while this instance owns it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::{ErrorKind, with_causes};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::lane::context::LaneContext;
use crate::status::LaneState;

pub(crate) mod batch;
pub(crate) mod batch_builder;
pub(crate) mod batcher;
pub(crate) mod blocked_event;
pub(crate) mod call_watchdog;
pub(crate) mod context;
pub(crate) mod event_types;
pub(crate) mod exception_log;
pub(crate) mod exceptions;
pub(crate) mod execute_step;
pub(crate) mod execution;
pub(crate) mod halted_request;
pub(crate) mod known_streams;
pub(crate) mod lane_reader;
pub(crate) mod load;
pub(crate) mod look_ahead;
pub(crate) mod missing_records;
pub(crate) mod parked_scan;
pub(crate) mod previous_records;
pub(crate) mod problem;
#[cfg(feature = "testing")]
pub(crate) mod record_bench;
pub(crate) mod record_buffer;
pub(crate) mod record_maker;
pub(crate) mod request_executor;
pub(crate) mod request_reader;
pub(crate) mod requests;
pub(crate) mod resume;
pub(crate) mod route_selector;
pub(crate) mod session;
pub(crate) mod status_record;
pub(crate) mod step;
pub(crate) mod stream_page;
pub(crate) mod trace;
pub(crate) mod writer;

/// A session of this length resets the backoff.
const STABLE: Duration = Duration::from_secs(60);

/// Runs sessions, one after the other, until `stop` is cancelled. If another producer has fenced this lane, `run`
/// cancels `leave` and returns: the instance rejoins the group, and the lane starts again when it is assigned again.
pub(crate) async fn run(context: Arc<LaneContext>, stop: CancellationToken, leave: CancellationToken) {
    let options = &context.options;
    let (route, lane) = (&context.definition.route.name, context.definition.lane);
    let mut pause = Duration::ZERO;
    loop {
        context.reporter.set(LaneState::Starting);
        let began = Instant::now();
        // A panic may leave state inconsistent; the session is dropped and restarts from the checkpoint.
        let session = AssertUnwindSafe(session::run(&context, &stop)).catch_unwind();
        let result = session.await.unwrap_or(Err(LaneError::Panicked));
        if stop.is_cancelled() {
            break;
        }
        let Err(error) = result else { continue };
        context.reporter.metrics.error(error.label());
        let problem = with_causes(&error);
        if error.is_fenced() {
            tracing::warn!(
                route,
                lane,
                error = problem,
                "another instance has taken the lane over, joining the group again"
            );
            leave.cancel();
            break;
        }
        if began.elapsed() > STABLE {
            pause = Duration::ZERO;
        }
        if error.kind() == ErrorKind::Retry {
            pause = (pause * 2).clamp(options.retry(), options.halt_retry());
            tracing::warn!(route, lane, error = problem, ?pause, "restarting lane from its checkpoint");
            context.reporter.set(LaneState::Retrying { problem });
        } else {
            pause = options.halt_retry();
            tracing::error!(route, lane, error = problem, "lane halted");
            context.reporter.set(LaneState::Halted { problem });
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    context.reporter.set(LaneState::Elsewhere);
}
