//! Claiming the partitions that Kafka assigns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::{ErrorKind, with_causes};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::error::ProjectionError;
use crate::inbox::ownership::{Claim, Claimed};
use crate::kafka::client::{ClaimOutcome, Consumer, ConsumerState};
use crate::postgres::error::error_kind;
use crate::status::Component;
use crate::{backoff, metrics};

/// A claim normally takes a few milliseconds: one that takes this long is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// A partition that Kafka has assigned.
struct Wanted {
    topic: Arc<str>,
    /// Kafka's id of the topic, if it is known.
    topic_id: Option<String>,
    partition: i32,
}

impl ConsumerState {
    /// Claims the partitions and sets their offsets.
    pub(super) fn claim(&self, consumer: &Consumer, partitions: &mut TopicPartitionList) -> ClaimOutcome {
        let Some(ids) = self.current_topic_ids(consumer) else { return ClaimOutcome::Abandoned };
        let wanted: Vec<Wanted> = partitions
            .elements()
            .iter()
            .map(|wanted| Wanted {
                topic: wanted.topic().into(),
                topic_id: ids.get(wanted.topic()).cloned(),
                partition: wanted.partition(),
            })
            .collect();
        // One for all claims: a connection goes back to the pool in the background, so that the next claim would open another.
        let mut connection = None;
        for wanted in wanted {
            let started = Instant::now();
            let claimed = self.claim_one(&mut connection, &wanted, started);
            let Wanted { topic, partition, .. } = wanted;
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

    /// Retries until a broker answers. A thread of librdkafka sends heartbeats meanwhile. Returns `None` if the thread was
    /// stopped.
    fn current_topic_ids(&self, consumer: &Consumer) -> Option<BTreeMap<String, String>> {
        let mut delays = backoff::delays();
        while !self.stop.is_cancelled() {
            match self.topic_ids.current(consumer.client()) {
                Ok(ids) => return Some(ids),
                Err(error) => {
                    let problem = format!("kafka: the ids of the topics are not known: {error}");
                    self.status.report(Component::Group, problem);
                    tracing::warn!(projection = self.projection, %error, "ids of topics not known, retrying");
                    self.wait(delays.next().unwrap_or_default())?;
                }
            }
        }
        None
    }

    /// Retries until Postgres answers. A thread of librdkafka sends heartbeats meanwhile. Returns `None` if the thread
    /// was stopped or must end.
    fn claim_one(
        &self,
        connection: &mut Option<PoolConnection<Postgres>>,
        wanted: &Wanted,
        started: Instant,
    ) -> Option<Claim> {
        let Wanted { topic, topic_id, partition } = wanted;
        let (topic_id, partition) = (topic_id.as_deref(), *partition);
        let mut delays = backoff::delays();
        while !self.stop.is_cancelled() {
            let claim = async {
                let claim = async {
                    let mut usable = match connection.take() {
                        Some(usable) => usable,
                        None => self.pool.acquire().await?,
                    };
                    let claim = self.ownership.claim(&mut *usable, topic, partition, topic_id).await?;
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
                Ok(Claimed::Owned(claim)) => return Some(claim),
                Ok(Claimed::TopicRecreated(recreated)) => {
                    self.fail(ProjectionError::TopicRecreated { projection: self.projection, recreated });
                    return None;
                }
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
                    self.wait(delays.next().unwrap_or_default())?;
                }
                Err(source) => {
                    self.fail(ProjectionError::Claim { projection: self.projection, source });
                    return None;
                }
            }
        }
        None
    }

    /// Returns `None` if the thread was stopped meanwhile.
    fn wait(&self, delay: Duration) -> Option<()> {
        let delay = async { tokio::time::sleep(delay).await };
        self.runtime.block_on(self.stop.run_until_cancelled(delay))
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
