//! What to check, and where it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::selection::Selection;

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
    /// URL of the schema registry, without `/schemas/ids/…`.
    pub registry: String,
    /// For basic authentication at the registry.
    #[serde(default)]
    pub registry_username: Option<String>,
    /// For basic authentication at the registry.
    #[serde(default)]
    pub registry_password: Option<String>,
    /// PEM file of an authority to trust at the registry, in addition to the system's.
    #[serde(default)]
    pub registry_authority: Option<PathBuf>,
    /// URL of the database; without one no inbox is compared.
    #[serde(default)]
    pub postgres: Option<String>,
    /// What the relay calls the store in `ce_source`.
    #[serde(default = "default_source")]
    pub source: String,
    /// By topic, the events it carries.
    #[serde(default)]
    pub topics: BTreeMap<String, Selection>,
    /// By projection or reactor, the topics it reads.
    #[serde(default)]
    pub projections: BTreeMap<String, Vec<String>>,
    /// Also compare every other projection that has read one of the topics.
    #[serde(default)]
    pub all_projections: bool,
    /// How many findings the report shows; all are counted.
    #[serde(default = "default_shown")]
    pub shown: usize,
    /// How long to wait, without any progress, for records and inbox rows of events that are stored.
    #[serde(default = "default_patience_seconds")]
    pub patience_seconds: u64,
}

impl Options {
    /// The servers at these addresses; nothing to compare yet.
    pub fn new(store: &str, brokers: &str, registry: &str) -> Self {
        Self {
            store: store.to_owned(),
            brokers: brokers.to_owned(),
            properties: BTreeMap::new(),
            registry: registry.to_owned(),
            registry_username: None,
            registry_password: None,
            registry_authority: None,
            postgres: None,
            source: default_source(),
            topics: BTreeMap::new(),
            projections: BTreeMap::new(),
            all_projections: false,
            shown: default_shown(),
            patience_seconds: default_patience_seconds(),
        }
    }
}

fn default_source() -> String {
    "aqueduct/eventstore".to_owned()
}

fn default_shown() -> usize {
    100
}

fn default_patience_seconds() -> u64 {
    10
}
