//! Claiming the partitions that Kafka assigns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::{ErrorKind, with_causes};
use rdkafka::{Offset, TopicPartitionList};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::error::ProjectionError;
use crate::inbox::ownership::Claim;
use crate::kafka::client::{ClaimOutcome, ConsumerState};
use crate::postgres::error::error_kind;
use crate::status::Component;
use crate::{backoff, metrics};

/// A claim normally takes a few milliseconds: one that takes this long is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

impl ConsumerState {
    /// Claims the partitions and sets their offsets.
    pub(super) fn claim(&self, partitions: &mut TopicPartitionList) -> ClaimOutcome {
        let wanted: Vec<(Arc<str>, i32)> =
            partitions.elements().iter().map(|wanted| (wanted.topic().into(), wanted.partition())).collect();
        // One for all claims: a connection goes back to the pool in the background, so that the next claim would open another.
        let mut connection = None;
        for (topic, partition) in wanted {
            let started = Instant::now();
            let claimed = self.claim_one(&mut connection, &topic, partition, started);
            metrics::claim_wait(self.projection, &topic, partition, Duration::ZERO);
            let Some(claim) = claimed else { return ClaimOutcome::Abandoned };
            let offset = claim.resume_at.map_or(Offset::Beginning, Offset::Offset);
            // In place: the list belongs to the event.
            if let Err(source) = partitions.set_partition_offset(&topic, partition, offset) {
                self.fail(ProjectionError::Kafka { projection: self.projection, source });
                return ClaimOutcome::Abandoned;
            }
        }
        ClaimOutcome::Done
    }

    /// Retries until Postgres answers. A thread of librdkafka sends heartbeats meanwhile. Returns `None` if the thread
    /// was stopped or must end.
    fn claim_one(
        &self,
        connection: &mut Option<PoolConnection<Postgres>>,
        topic: &Arc<str>,
        partition: i32,
        started: Instant,
    ) -> Option<Claim> {
        let mut delays = backoff::delays();
        while !self.stop.is_cancelled() {
            let claim = async {
                let claim = async {
                    let mut usable = match connection.take() {
                        Some(usable) => usable,
                        None => self.pool.acquire().await?,
                    };
                    let claim = self.ownership.claim(&mut *usable, topic, partition).await?;
                    *connection = Some(usable);
                    Ok(claim)
                };
                tokio::time::timeout(self.timeout, claim).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            };
            let claim = async {
                tokio::select! {
                    claimed = claim => claimed,
                    never = self.report_wait(topic, partition, started) => match never {},
                }
            };
            match self.runtime.block_on(self.stop.run_until_cancelled(claim))? {
                Ok(claim) => return Some(claim),
                Err(error) if error_kind(&error) == ErrorKind::Retry => {
                    metrics::error(self.projection, ErrorKind::Retry);
                    let error = with_causes(&error);
                    let problem =
                        format!("postgres: partition {partition} of {topic} is not claimed: {error}");
                    self.status.report(Component::Group, problem);
                    tracing::warn!(
                        projection = self.projection, %topic, partition, error,
                        "partition not claimed, retrying"
                    );
                    let delay = async { tokio::time::sleep(delays.next().unwrap_or_default()).await };
                    self.runtime.block_on(self.stop.run_until_cancelled(delay))?;
                }
                Err(source) => {
                    self.fail(ProjectionError::Claim { projection: self.projection, source });
                    return None;
                }
            }
        }
        None
    }

    /// Reports that a claim waits: the partition's former owner has a transaction open.
    async fn report_wait(&self, topic: &str, partition: i32, started: Instant) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(REPORT_AFTER).await;
            let waited = started.elapsed();
            metrics::claim_wait(self.projection, topic, partition, waited);
            let problem = format!(
                "postgres: the claim of partition {partition} of {topic} waits for a transaction of its former owner"
            );
            self.status.report(Component::Group, problem);
            tracing::warn!(
                projection = self.projection,
                topic,
                partition,
                ?waited,
                "claim waits for a transaction of the partition's former owner"
            );
        }
    }
}
