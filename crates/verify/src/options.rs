//! What to check, and where it is.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where the servers are, and which topics and projections to compare.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Connection string of the event store, `esdb://127.0.0.1:2113?tls=false`.
    pub store: String,
    /// Kafka's `bootstrap.servers`.
    pub brokers: String,
    /// Further librdkafka properties (TLS, SASL, …).
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// URL of the schema registry, up to what stands before `/schemas/ids/…`.
    pub registry: String,
    /// URL of the database.
    pub postgres: String,
    /// What the relay calls the store in `ce_source`.
    #[serde(default = "default_source")]
    pub source: String,
    /// By topic, the categories of the streams it carries.
    #[serde(default)]
    pub topics: BTreeMap<String, Vec<String>>,
    /// By projection or reactor, the topics it reads.
    #[serde(default)]
    pub projections: BTreeMap<String, Vec<String>>,
    /// How many findings the report shows; all are counted.
    #[serde(default = "default_shown")]
    pub shown: usize,
}

impl Options {
    /// The servers at these addresses; nothing to compare yet.
    pub fn new(store: &str, brokers: &str, registry: &str, postgres: &str) -> Self {
        Self {
            store: store.to_owned(),
            brokers: brokers.to_owned(),
            properties: BTreeMap::new(),
            registry: registry.to_owned(),
            postgres: postgres.to_owned(),
            source: default_source(),
            topics: BTreeMap::new(),
            projections: BTreeMap::new(),
            shown: default_shown(),
        }
    }
}

fn default_source() -> String {
    "aqueduct/eventstore".to_owned()
}

fn default_shown() -> usize {
    100
}
