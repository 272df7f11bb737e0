//! The part of a projection after Kafka.

use std::sync::Arc;

use sqlx::PgPool;

use crate::ownership::Ownership;
use crate::processor::{Ending, Outcome, Process};
use crate::{ProjectionError, Record, metrics};

/// Takes batches of records through inbox, handler and transaction. See
/// [`Projection::batches`](crate::Projection::batches).
pub struct Batches {
    projection: &'static str,
    generation: i32,
    pub(crate) pool: PgPool,
    pub(crate) ownership: Arc<Ownership>,
    process: Arc<dyn Process>,
}

impl Batches {
    pub(crate) fn new(
        projection: &'static str,
        generation: i32,
        pool: PgPool,
        ownership: Arc<Ownership>,
        process: Arc<dyn Process>,
    ) -> Self {
        Self { projection, generation, pool, ownership, process }
    }

    /// Claims a partition: whoever owned it can commit nothing more of it. Returns the epoch that records read
    /// from now on must carry, and the offset to go on at (`None`: from the beginning).
    pub async fn claim(&self, topic: &str, partition: i32) -> Result<(i64, Option<i64>), ProjectionError> {
        let claimed = self.ownership.claim(&self.pool, &topic.into(), partition).await;
        claimed.map_err(|source| ProjectionError::Postgres { projection: self.projection, source })
    }

    /// Takes a batch to its end: each partition's records in the order of their offsets. `None`: nothing was
    /// committed, because the partitions have another owner by now.
    pub async fn apply(&self, records: Vec<Record>) -> Result<Option<Outcome>, ProjectionError> {
        match self.process(records).await? {
            Ending::Committed(outcome) => Ok(Some(outcome)),
            Ending::Dropped => Ok(None),
        }
    }

    pub(crate) async fn process(&self, records: Vec<Record>) -> Result<Ending, ProjectionError> {
        let ending = self.process.process(records).await;
        ending.map_err(|error| {
            metrics::error(self.projection, error.kind());
            ProjectionError::batch(self.projection, error)
        })
    }

    /// Whether Postgres answers.
    pub(crate) async fn look(&self) -> Result<(), sqlx::Error> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop)
    }

    /// Shows how many events are parked.
    pub(crate) async fn count_parked(&self) -> Result<(), sqlx::Error> {
        let count = sqlx::query_scalar(
            "select count(*) from aqueduct.parked where projection = $1 and generation = $2",
        );
        let events = count.bind(self.projection).bind(self.generation).fetch_one(&self.pool).await?;
        metrics::parked_now(self.projection, events);
        Ok(())
    }
}
