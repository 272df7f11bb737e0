//! A guard against an endless loop in the client.
//!
//! When the server, or a proxy before it, ends a subscription with status OK, or without any status, the
//! crate's `Subscription::next_subscription_event` takes the end of the stream for an unknown message, logs a
//! warning, reads again and meets the same end: one core at 100 %, in a loop that never yields, so that neither a
//! timeout nor an abort reaches it. The only call out of this loop is the warning. The guard subscribes to it and
//! unwinds out of the loop.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher, level_filters::LevelFilter};

/// No server sends that many unknown messages in one poll.
const TOO_MANY: u32 = 1_000;

/// How a guarded future was ended from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwound {
    /// It was in the endless loop.
    Ended,
    /// It panicked.
    Panicked,
}

/// The payload that unwinds out of the loop.
struct LoopBroken;

/// Runs a future that reads from a subscription. What it logs meanwhile is not passed on.
pub(crate) struct Guarded<F> {
    future: Pin<Box<F>>,
    warnings: Arc<AtomicU32>,
    dispatch: Dispatch,
}

impl<F: Future> Guarded<F> {
    pub(crate) fn new(future: F) -> Self {
        let warnings = Arc::new(AtomicU32::new(0));
        let dispatch = Dispatch::new(Listener { warnings: Arc::clone(&warnings) });
        Self { future: Box::pin(future), warnings, dispatch }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Unwound>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.warnings.store(0, Ordering::Relaxed);
        // After unwinding, the future is not polled again, only dropped.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            dispatcher::with_default(&this.dispatch, || this.future.as_mut().poll(cx))
        }));
        Poll::Ready(match polled {
            Ok(poll) => Ok(ready!(poll)),
            Err(payload) if payload.is::<LoopBroken>() => Err(Unwound::Ended),
            Err(_) => Err(Unwound::Panicked),
        })
    }
}

/// Counts the client's warnings.
struct Listener {
    warnings: Arc<AtomicU32>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target() == "eventstore::commands"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, _: &Event<'_>) {
        if self.warnings.fetch_add(1, Ordering::Relaxed) >= TOO_MANY {
            // Not `panic!`: a panic hook has nothing to report.
            resume_unwind(Box::new(LoopBroken));
        }
    }

    // Spans are never enabled; ids must not be zero.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
