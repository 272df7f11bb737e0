//! What to check, and where it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::route::{Events, Route};

/// Where the servers are, and which topics and projections to compare.
#[derive(Clone)]
pub struct Options {
    /// Connection string of the event store, `esdb://127.0.0.1:2113?tls=false`.
    pub store: String,
    /// Kafka's `bootstrap.servers`.
    pub brokers: String,
    /// Further librdkafka properties (TLS, SASL, …).
    pub properties: BTreeMap<String, String>,
    /// URL of the schema registry, without `/schemas/ids/…`.
    pub registry: String,
    /// For basic authentication at the registry.
    pub registry_username: Option<String>,
    /// For basic authentication at the registry.
    pub registry_password: Option<String>,
    /// PEM file of an authority to trust at the registry, in addition to the system's.
    pub registry_authority: Option<PathBuf>,
    /// URL of the database; without one no inbox is compared.
    pub postgres: Option<String>,
    /// What the relay calls the store in `ce_source`.
    pub source: String,
    /// How events that others wrote are read.
    pub events: Events,
    /// The folder of the schema files, `<context>/<Event>/vN.avsc`: they say how stored JSON looks. Without it the
    /// registered schemas are used, which do not say it.
    pub schemas: Option<PathBuf>,
    /// The largest record that the relay writes, in bytes; what was parked as larger is judged by it.
    pub max_record_bytes: Option<usize>,
    /// By topic, its route.
    pub topics: BTreeMap<String, Route>,
    /// By projection or reactor, the topics it reads.
    pub projections: BTreeMap<String, Vec<String>>,
    /// Also compare every other projection that has read one of the topics.
    pub all_projections: bool,
    /// How many findings the report shows; all are counted.
    pub shown: usize,
    /// How long to wait, without any progress, for records and inbox rows of events that are stored.
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
            events: Events::default(),
            schemas: None,
            max_record_bytes: None,
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
