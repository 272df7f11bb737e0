//! Context of a batch: ownership, status and shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aqueduct_core::with_causes;
use tokio_util::sync::CancellationToken;

use crate::batch::error::BatchError;
use crate::inbox::ownership::Ownership;
use crate::metrics;
use crate::status::{Component, StatusReporter};

/// How a wait before the next attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Elapsed,
    /// The process is shutting down.
    Shutdown,
}

/// Ownership, status and shutdown, shared by the steps of a batch.
pub(crate) struct BatchContext {
    pub(crate) projection: &'static str,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) status: StatusReporter,
    pub(crate) shutdown: CancellationToken,
    /// Number of streams that a reactor handles concurrently.
    pub(crate) concurrency: usize,
    /// Batches that are being processed.
    pub(crate) running: AtomicUsize,
}

/// Counts a batch as running.
pub(crate) struct RunningBatch<'c>(&'c BatchContext);

/// A problem is shown until the batch that has it and those that run beside it have ended.
impl Drop for RunningBatch<'_> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.status.clear(Component::Batch);
        }
    }
}

impl BatchContext {
    /// A batch runs until the guard is dropped.
    pub(crate) fn begin(&self) -> RunningBatch<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        RunningBatch(self)
    }

    /// Reports a failed attempt that will be repeated.
    pub(crate) fn report_retry(&self, error: &BatchError) {
        metrics::error(self.projection, error.kind());
        let error = with_causes(error);
        tracing::warn!(projection = self.projection, error, "batch failed, retrying");
        self.status.report(Component::Batch, format!("retrying a batch: {error}"));
    }

    /// Waits before the next attempt.
    pub(crate) async fn wait(&self, delays: &mut impl Iterator<Item = Duration>) -> Wait {
        let delay = delays.next().unwrap_or_default();
        match self.shutdown.run_until_cancelled(tokio::time::sleep(delay)).await {
            Some(()) => Wait::Elapsed,
            None => Wait::Shutdown,
        }
    }
}
