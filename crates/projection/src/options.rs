//! Options of a projection.

use std::time::Duration;

use aqueduct_kafka::Cluster;
use serde::Deserialize;

use crate::postgres::options::PostgresOptions;

/// Options of a projection or reactor. All of a process can share them: each has a consumer group of its own,
/// `<prefix>.projection.<name>`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the read models, the inbox and the offsets are.
    pub postgres: PostgresOptions,
    /// How to reach Kafka, the first part of the consumer groups' names, and the name of the store whose events are
    /// applied (`ce_source`): records of others are parked.
    pub cluster: Cluster,
    /// Is put before the names of the topics, with a dot after it: for a system on a cluster of others.
    #[serde(default)]
    pub topic_prefix: Option<String>,
    /// Maximum number of records in a batch.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// Milliseconds for which a batch waits for more records. With 0 it takes what is available: while one batch
    /// is written the next one accumulates, so batches grow under load.
    #[serde(default)]
    pub batch_wait_ms: u64,
    /// Maximum number of records that are read ahead.
    #[serde(default = "default_queue_size")]
    pub queue_size: usize,
    /// Number of streams that a reactor handles concurrently.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Milliseconds after which Kafka assigns the partitions of an unresponsive instance to others, and Postgres
    /// ends its sessions.
    #[serde(default = "default_session_timeout_ms")]
    pub session_timeout_ms: u32,
}

fn default_batch_size() -> usize {
    1000
}

fn default_queue_size() -> usize {
    4000
}

fn default_concurrency() -> usize {
    16
}

fn default_session_timeout_ms() -> u32 {
    10_000
}

impl Options {
    /// The options for these servers, with the defaults.
    pub fn new(postgres: PostgresOptions, cluster: Cluster) -> Self {
        Self {
            postgres,
            cluster,
            topic_prefix: None,
            batch_size: default_batch_size(),
            batch_wait_ms: 0,
            queue_size: default_queue_size(),
            concurrency: default_concurrency(),
            session_timeout_ms: default_session_timeout_ms(),
        }
    }

    /// The consumer group of a projection.
    pub fn group(&self, projection: &str) -> String {
        format!("{}.projection.{projection}", self.cluster.prefix)
    }

    /// The name of a topic on the cluster.
    pub(crate) fn topic(&self, topic: &str) -> String {
        match &self.topic_prefix {
            Some(prefix) => format!("{prefix}.{topic}"),
            None => topic.to_owned(),
        }
    }

    pub(crate) fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms.into())
    }
}
