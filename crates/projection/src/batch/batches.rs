//! The part of a projection after Kafka.

use std::sync::Arc;

use sqlx::PgPool;

use crate::batch::outcome::Outcome;
use crate::batch::processor::{Completion, Process};
use crate::error::ProjectionError;
use crate::inbox::GENERATION;
use crate::inbox::ownership::Ownership;
use crate::metrics;
use crate::record::Record;

/// Processes batches of records through inbox, handler and transaction. See
/// [`Projection::batches`](crate::Projection::batches).
pub struct Batches {
    projection: &'static str,
    pub(crate) pool: PgPool,
    pub(crate) ownership: Arc<Ownership>,
    process: Arc<dyn Process>,
}

impl Batches {
    pub(crate) fn new(
        projection: &'static str,
        pool: PgPool,
        ownership: Arc<Ownership>,
        process: Arc<dyn Process>,
    ) -> Self {
        Self { projection, pool, ownership, process }
    }

    /// Claims a partition: its former owner can't commit anything more of it. Returns the epoch that records read
    /// from now on must carry, and the offset to resume at (`None`: the beginning).
    pub async fn claim(&self, topic: &str, partition: i32) -> Result<(i64, Option<i64>), ProjectionError> {
        let claimed = self.ownership.claim(&self.pool, &topic.into(), partition).await;
        claimed.map_err(|source| ProjectionError::Postgres { projection: self.projection, source })
    }

    /// Processes a batch to its end: each partition's records in the order of their offsets. `None`: nothing was
    /// committed, because the partitions have other owners now.
    pub async fn apply(&self, records: Vec<Record>) -> Result<Option<Outcome>, ProjectionError> {
        match self.process(records).await? {
            Completion::Committed(outcome) => Ok(Some(outcome)),
            Completion::Abandoned => Ok(None),
        }
    }

    pub(crate) async fn process(&self, records: Vec<Record>) -> Result<Completion, ProjectionError> {
        let completion = self.process.process(records).await;
        completion.map_err(|error| {
            metrics::error(self.projection, error.kind());
            ProjectionError::Batch { projection: self.projection, source: Box::new(error) }
        })
    }

    /// Executes one step of a request to replay or discard parked events (see [`parked`](crate::parked)) of the
    /// partitions that were claimed. False: there is nothing to do now. [`Projection::run`](crate::Projection::run)
    /// does it in between batches.
    pub async fn execute_step(&self) -> Result<bool, ProjectionError> {
        let step = self.process.execute_step().await;
        step.map_err(|error| ProjectionError::Batch { projection: self.projection, source: Box::new(error) })
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
