//! What to check, and where it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Where the parts are. The defaults name what the sample system uses.
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
    /// The input file, `.gz` or not.
    pub input: PathBuf,
    /// How many orders were taken of it; all if not given.
    #[serde(default)]
    pub orders: Option<usize>,
    /// What the relay calls the store in `ce_source`.
    #[serde(default = "default_source")]
    pub source: String,
    /// By topic, the categories of the streams it carries.
    #[serde(default = "default_topics")]
    pub topics: BTreeMap<String, Vec<String>>,
    /// By projection or reactor, the topics it reads.
    #[serde(default = "default_projections")]
    pub projections: BTreeMap<String, Vec<String>>,
    /// How many findings the report shows; all are counted.
    #[serde(default = "default_shown")]
    pub shown: usize,
}

impl Options {
    /// The sample system at these addresses, the whole input.
    pub fn new(store: &str, brokers: &str, registry: &str, postgres: &str, input: PathBuf) -> Self {
        Self {
            store: store.to_owned(),
            brokers: brokers.to_owned(),
            properties: BTreeMap::new(),
            registry: registry.to_owned(),
            postgres: postgres.to_owned(),
            input,
            orders: None,
            source: default_source(),
            topics: default_topics(),
            projections: default_projections(),
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

fn table(rows: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    rows.iter()
        .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
        .collect()
}

pub(crate) fn default_topics() -> BTreeMap<String, Vec<String>> {
    table(&[
        ("shop.users", &["user"]),
        ("shop.orders", &["order", "return"]),
        ("shop.inventory", &["inventory"]),
    ])
}

pub(crate) fn default_projections() -> BTreeMap<String, Vec<String>> {
    table(&[
        ("customers", &["shop.users"]),
        ("orders", &["shop.orders"]),
        ("stock", &["shop.inventory"]),
        ("revenue", &["shop.orders"]),
        ("inventory", &["shop.orders"]),
    ])
}
