//! What a projection can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::PostgresOptions;

/// Options of a projection or reactor. One set serves all of a process: each has its own consumer group,
/// `<prefix>.projection.<name>`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the read models, the inbox and the offsets are.
    pub postgres: PostgresOptions,
    /// Kafka's bootstrap servers, `host:port,host:port`.
    pub brokers: String,
    /// Any property of librdkafka, for example of TLS and SASL. Those on which delivery rests can't be set.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// First part of the consumer groups' names.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Name of the store whose events are taken (`ce_source`); records of others are parked.
    #[serde(default = "default_source")]
    pub source: String,
    /// Generation of the read model, from 1. A new one starts at the first event, with an empty inbox.
    #[serde(default = "default_generation")]
    pub generation: i32,
    /// Records in a batch, at most.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// Milliseconds that a batch waits for more records. With 0 it takes what is there: while one batch is
    /// written the next one gathers, so batches grow by themselves under load.
    #[serde(default)]
    pub batch_wait_ms: u64,
    /// Records that are read ahead, at most.
    #[serde(default = "default_queue_size")]
    pub queue_size: usize,
    /// Streams on which a reactor works at the same time.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Milliseconds after which Kafka gives the partitions of an instance that fell silent to others.
    #[serde(default = "default_session_timeout_ms")]
    pub session_timeout_ms: u32,
}

fn default_prefix() -> String {
    "aqueduct".to_owned()
}

fn default_source() -> String {
    "aqueduct/eventstore".to_owned()
}

fn default_generation() -> i32 {
    1
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
    pub fn new(postgres: PostgresOptions, brokers: impl Into<String>) -> Self {
        Self {
            postgres,
            brokers: brokers.into(),
            properties: BTreeMap::new(),
            prefix: default_prefix(),
            source: default_source(),
            generation: default_generation(),
            batch_size: default_batch_size(),
            batch_wait_ms: 0,
            queue_size: default_queue_size(),
            concurrency: default_concurrency(),
            session_timeout_ms: default_session_timeout_ms(),
        }
    }

    /// The consumer group of a projection. A new generation is a new group: both run until the swap.
    pub fn group(&self, projection: &str) -> String {
        match self.generation {
            1 => format!("{}.projection.{projection}", self.prefix),
            generation => format!("{}.projection.{projection}.{generation}", self.prefix),
        }
    }

    pub(crate) fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }
}
