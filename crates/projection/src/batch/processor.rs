//! The public handle that processes batches of records without Kafka.

use std::sync::Arc;

use sqlx::PgPool;

use crate::batch::outcome::Outcome;
use crate::batch::runner::{Completion, RequestStep, RunBatch};
use crate::error::ProjectionError;
use crate::inbox::GENERATION;
use crate::inbox::ownership::Ownership;
use crate::metrics;
use crate::record::Record;

/// Processes batches of records: inbox, handler and transaction. See
/// [`Projection::batch_processor`](crate::Projection::batch_processor).
pub struct BatchProcessor {
    projection: &'static str,
    pub(crate) pool: PgPool,
    pub(crate) ownership: Arc<Ownership>,
    runner: Arc<dyn RunBatch>,
}

/// Result of [`BatchProcessor::claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Epoch that records read from now on must carry.
    pub epoch: i64,
    /// Offset to resume at; `None`: the beginning of the partition.
    pub resume_at: Option<i64>,
}

impl BatchProcessor {
    pub(crate) fn new(
        projection: &'static str,
        pool: PgPool,
        ownership: Arc<Ownership>,
        runner: Arc<dyn RunBatch>,
    ) -> Self {
        Self { projection, pool, ownership, runner }
    }

    /// Claims a partition. Its former owner cannot commit to it from now on.
    ///
    /// # Errors
    /// [`ProjectionError::Claim`]: the statement failed.
    pub async fn claim(&self, topic: &str, partition: i32) -> Result<Claim, ProjectionError> {
        let claimed = self.ownership.claim(&self.pool, &topic.into(), partition).await;
        claimed.map_err(|source| ProjectionError::Claim { projection: self.projection, source })
    }

    /// Processes a batch, whose records must be in the order of their offsets within each partition. Retries
    /// temporary errors. Returns `None` if nothing was committed because the partitions have other owners now.
    ///
    /// # Errors
    /// [`ProjectionError::Batch`]: an error that a retry does not solve.
    pub async fn apply(&self, records: Vec<Record>) -> Result<Option<Outcome>, ProjectionError> {
        match self.process(records).await? {
            Completion::Committed(outcome) => Ok(Some(outcome)),
            Completion::Abandoned => Ok(None),
        }
    }

    pub(crate) async fn process(&self, records: Vec<Record>) -> Result<Completion, ProjectionError> {
        let completion = self.runner.process(records).await;
        completion.map_err(|error| {
            metrics::error(self.projection, error.kind());
            ProjectionError::Batch { projection: self.projection, source: Box::new(error) }
        })
    }

    /// Executes one step of a request to replay or discard parked events (see [`parked`](crate::parked)) of the
    /// claimed partitions. [`Projection::run`](crate::Projection::run) calls it between batches.
    ///
    /// # Errors
    /// [`ProjectionError::RequestStep`]: the step failed and can be repeated.
    pub async fn execute_step(&self) -> Result<RequestStep, ProjectionError> {
        let step = self.runner.execute_step().await;
        step.map_err(|error| ProjectionError::RequestStep {
            projection: self.projection,
            source: Box::new(error),
        })
    }

    /// Whether Postgres answers.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop)
    }

    /// Sets the gauge of parked events.
    pub(crate) async fn count_parked(&self) -> Result<(), sqlx::Error> {
        let count = sqlx::query_scalar(
            "select count(*) from aqueduct.parked where projection = $1 and generation = $2 and state = 'parked'",
        );
        let events = count.bind(self.projection).bind(GENERATION).fetch_one(&self.pool).await?;
        metrics::parked_now(self.projection, events);
        Ok(())
    }
}
