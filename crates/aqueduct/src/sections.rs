//! The product's sections of `aqueduct.toml`. They contain secrets, so they are not to be printed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use aqueduct_kafka::Cluster;
use aqueduct_service::config::variable;
use serde::{Deserialize, Deserializer};

/// `[eventstore]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventStore {
    /// Connection string, as the store's own clients write it: `esdb://user:password@host:2113?tls=true`, several hosts
    /// or `esdb+discover://` for a cluster. `kurrentdb://` means the same.
    pub url: Option<String>,
    /// Its name in every record (`ce_source`). Consumers know records by it, so it must not change.
    pub source: String,
}

impl Default for EventStore {
    fn default() -> Self {
        Self { url: None, source: Cluster::default().source }
    }
}

/// `[kafka]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Bootstrap servers, `host:port,host:port`.
    pub brokers: Option<String>,
    /// First part of the names of consumer groups, transactional ids and the relay's own topics (checkpoints, exceptions,
    /// parked events, requests). Instances with the same prefix share the work: two systems on one cluster need two
    /// prefixes. Cannot be changed once a route has a checkpoint.
    pub prefix: String,
    /// Replicas of the topics that `setup` creates; -1 is the broker's default.
    pub replication: i32,
    /// Properties of librdkafka, for every client, by librdkafka's names. In the configuration `_` may stand for
    /// `.`: an environment variable cannot have dots in its name. Where both are given, `_` counts. A property
    /// whose name ends in `.file` belongs in the file: `…_FILE` has its own meaning.
    #[serde(deserialize_with = "with_dots")]
    pub properties: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: None,
            prefix: Cluster::default().prefix,
            replication: aqueduct_relay::Options::default().replication_factor,
            properties: BTreeMap::new(),
        }
    }
}

/// No property that has a text for its value has an underscore in its name, but `log_level`, which the clients
/// set themselves.
fn with_dots<'de, D: Deserializer<'de>>(properties: D) -> Result<BTreeMap<String, String>, D::Error> {
    let given = BTreeMap::<String, String>::deserialize(properties)?;
    // Dots come before underscores in the map: the environment, which has only these, overrides the file.
    Ok(given.into_iter().map(|(name, value)| (name.replace('_', "."), value)).collect())
}

/// `[registry]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Base URL of Confluent's API: `http://localhost:8081`. Apicurio serves it under `/apis/ccompat/v7`.
    pub url: Option<String>,
    /// User name for basic authentication.
    pub username: Option<String>,
    /// Password for basic authentication.
    pub password: Option<String>,
    /// PEM file of an authority to trust in addition to the system's. Not called `…_file`: a variable of such a
    /// name would mean the file that contains the value.
    pub authority: Option<PathBuf>,
}

/// `[postgres]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:password@host:5432/database`.
    pub url: Option<String>,
}

/// `[schemas]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schemas {
    /// Folder of the Avro schemas, relative to the configuration file.
    pub directory: PathBuf,
    /// The contexts (folders below `directory`) whose event types each topic carries, where there is no `policy.toml` in `directory`
    /// yet.
    pub contexts: BTreeMap<String, Vec<String>>,
    /// Comes before the names of the policy's topics, with a dot in between.
    #[serde(skip)]
    pub(crate) topic_prefix: Option<String>,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { directory: PathBuf::from("schemas"), contexts: BTreeMap::new(), topic_prefix: None }
    }
}

/// `[http]`: where the product's own processes serve health and metrics. Port 0 takes a free one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Listen address of `aqueduct relay`.
    pub relay: SocketAddr,
    /// Listen address of `project`.
    pub project: SocketAddr,
    /// Listen address of `react`.
    pub react: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { relay: local(9101), project: local(9102), react: local(9107) }
    }
}

/// `[projection]`: what differs from the defaults, for projections and reactors.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Directory of SQL projections, relative to this file: each of its directories is one.
    pub directory: Option<PathBuf>,
    /// Is put before the names of the topics, with a dot after it: for a system on a cluster of others.
    pub topic_prefix: Option<String>,
    /// Records in a batch, at most.
    pub batch_size: Option<usize>,
    /// Milliseconds that a batch waits for more records.
    pub batch_wait_ms: Option<u64>,
    /// Streams on which a reactor works at the same time.
    pub concurrency: Option<usize>,
    /// Milliseconds after which Kafka gives the partitions of a silent instance to others.
    pub session_timeout_ms: Option<u32>,
}

/// The address of a server is needed and not configured.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{key}` is not configured: add it to {path}, set {variable}, or name the file that contains it with \
     {variable}_FILE"
)]
pub struct NotConfigured {
    key: &'static str,
    variable: String,
    path: PathBuf,
}

macro_rules! address {
    ($section:ident, $key:literal, $field:ident) => {
        impl $section {
            /// The key of its address.
            pub const ADDRESS: &'static str = $key;

            /// Its address, which must be configured; `file` is named in the error.
            pub fn address(&self, file: &Path) -> Result<String, NotConfigured> {
                self.configured().map(str::to_owned).ok_or_else(|| NotConfigured {
                    key: Self::ADDRESS,
                    variable: variable(Self::ADDRESS),
                    path: file.to_owned(),
                })
            }

            /// Its address, if there is one.
            pub fn configured(&self) -> Option<&str> {
                self.$field.as_deref().filter(|address| !address.is_empty())
            }
        }
    };
}

address!(EventStore, "eventstore.url", url);
address!(Kafka, "kafka.brokers", brokers);
address!(Registry, "registry.url", url);
address!(Postgres, "postgres.url", url);
