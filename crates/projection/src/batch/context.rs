//! Context of a batch: ownership, status and shutdown.

use std::sync::Arc;
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
}

impl BatchContext {
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
