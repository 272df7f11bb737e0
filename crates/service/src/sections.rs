//! The sections of `aqueduct.toml` that processes of more than one crate read. deploy/local/aqueduct.toml says
//! what each key means. They hold secrets, so they are not to be printed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::config::variable;

/// `[eventstore]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventStore {
    /// Its connection string.
    pub url: Option<String>,
    /// Its name in every record.
    pub source: String,
}

/// `[kafka]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Bootstrap servers.
    pub brokers: Option<String>,
    /// First part of transactional ids and consumer groups.
    pub prefix: String,
    /// Replicas of new topics; -1 is the broker's default.
    #[serde(default = "brokers_default")]
    pub replication: i32,
    /// Properties of librdkafka, for every client, by librdkafka's names. In the configuration `_` may stand for
    /// `.`: a variable of the environment can't have dots in its name. Where both are given, `_` counts. A
    /// property whose name ends in `.file` belongs into the file: `…_FILE` has its own meaning.
    #[serde(default, deserialize_with = "with_dots")]
    pub properties: BTreeMap<String, String>,
}

const fn brokers_default() -> i32 {
    -1
}

/// No property that has a text for its value has an underscore in its name, but `log_level`, which the clients
/// set themselves.
fn with_dots<'de, D: Deserializer<'de>>(properties: D) -> Result<BTreeMap<String, String>, D::Error> {
    let given = BTreeMap::<String, String>::deserialize(properties)?;
    // Dots come before underscores in the map: the environment, which has only these, overrides the file.
    Ok(given.into_iter().map(|(name, value)| (name.replace('_', "."), value)).collect())
}

/// `[registry]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Base of its API.
    pub url: Option<String>,
    /// For basic authentication.
    pub username: Option<String>,
    /// For basic authentication.
    pub password: Option<String>,
    /// PEM file of an authority to trust beside the system's. Not called `…_file`: a variable of such a name
    /// would mean the file that holds the value.
    pub authority: Option<PathBuf>,
}

/// `[postgres]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// With user, password and database.
    pub url: Option<String>,
}

/// `[schemas]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schemas {
    /// Where they are.
    pub directory: PathBuf,
    /// The contexts whose event types each topic carries.
    pub contexts: BTreeMap<String, Vec<String>>,
}

/// `[http]`: where each process listens.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is called like its process")]
pub struct Http {
    pub relay: SocketAddr,
    pub project: SocketAddr,
    pub users: SocketAddr,
    pub orders: SocketAddr,
    pub legacy_orders: SocketAddr,
    pub inventory: SocketAddr,
}

/// `[projection]`: what differs from the defaults, for projections and reactors.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Records in a batch, at most.
    pub batch_size: Option<usize>,
    /// Milliseconds that a batch waits for more records.
    pub batch_wait_ms: Option<u64>,
    /// Streams on which a reactor works at the same time.
    pub concurrency: Option<usize>,
    /// Milliseconds after which Kafka gives the partitions of an instance that fell silent to others.
    pub session_timeout_ms: Option<u32>,
}

/// A server's address is needed and not configured.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{key}` is not configured: write it into {path}, or set {variable}; `aqueduct demo` starts a server \
     of its own for each that is not configured"
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

            /// Its address, which must be configured; `file` is where one would do so.
            pub fn address(&self, file: &Path) -> Result<String, NotConfigured> {
                let address = self.$field.clone().filter(|address| !address.is_empty());
                address.ok_or_else(|| NotConfigured {
                    key: Self::ADDRESS,
                    variable: variable(Self::ADDRESS),
                    path: file.to_owned(),
                })
            }
        }
    };
}

address!(EventStore, "eventstore.url", url);
address!(Kafka, "kafka.brokers", brokers);
address!(Registry, "registry.url", url);
address!(Postgres, "postgres.url", url);
