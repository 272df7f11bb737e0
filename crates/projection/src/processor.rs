//! The public handle that processes batches of records, and requests for parked events, without Kafka.

use std::sync::Arc;

use sqlx::PgPool;

use crate::batch::outcome::Outcome;
use crate::batch::runner::{Completion, RunBatch};
use crate::batch::turn::Turn;
use crate::error::ProjectionError;
use crate::inbox::ownership::{Claim, Claimed, Ownership};
use crate::metrics;
use crate::parked::execute::{ExecuteStep, RequestStep};
use crate::record::Record;

/// Processes batches of records: inbox, handler and transaction. See
/// [`Projection::batch_processor`](crate::Projection::batch_processor).
pub struct BatchProcessor {
    projection: &'static str,
    pub(crate) pool: PgPool,
    pub(crate) ownership: Arc<Ownership>,
    batches: Arc<dyn RunBatch>,
    requests: Arc<dyn ExecuteStep>,
}

impl BatchProcessor {
    pub(crate) fn new(
        projection: &'static str,
        pool: PgPool,
        ownership: Arc<Ownership>,
        batches: Arc<dyn RunBatch>,
        requests: Arc<dyn ExecuteStep>,
    ) -> Self {
        Self { projection, pool, ownership, batches, requests }
    }

    /// Claims a partition. Its former owner cannot commit to it from now on.
    ///
    /// # Errors
    /// [`ProjectionError::Claim`]: the statement failed. [`ProjectionError::TopicRecreated`]: a projection has found that, and
    /// nobody has accepted it.
    pub async fn claim(&self, topic: &str, partition: i32) -> Result<Claim, ProjectionError> {
        let projection = self.projection;
        let claimed = self.ownership.claim(&self.pool, &topic.into(), partition, None).await;
        match claimed.map_err(|source| ProjectionError::Claim { projection, source })? {
            Claimed::Owned(claim) => Ok(claim),
            Claimed::TopicRecreated(recreated) => {
                Err(ProjectionError::TopicRecreated { projection, recreated })
            }
        }
    }

    /// Processes a batch, whose records must be in the order of their offsets within each partition. Retries
    /// temporary errors. Returns `None` if nothing was committed because the partitions have other owners now.
    ///
    /// # Errors
    /// [`ProjectionError::Batch`]: an error that a retry does not solve.
    pub async fn apply(&self, records: Vec<Record>) -> Result<Option<Outcome>, ProjectionError> {
        let (turn, _ended) = Turn::after(None);
        match self.process(records, turn).await? {
            Completion::Committed(outcome) => Ok(Some(outcome)),
            Completion::Abandoned => Ok(None),
        }
    }

    pub(crate) async fn process(
        &self,
        records: Vec<Record>,
        turn: Turn,
    ) -> Result<Completion, ProjectionError> {
        let completion = Arc::clone(&self.batches).process(records, turn).await;
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
        let step = self.requests.execute_step().await;
        step.map_err(|error| ProjectionError::RequestStep {
            projection: self.projection,
            source: Box::new(error),
        })
    }
}
