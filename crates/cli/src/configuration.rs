//! `aqueduct.toml`, as all commands share it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct_projection::PostgresOptions;
use aqueduct_schema::{LoadError, RegistryOptions, SchemaSet};
use aqueduct_service::{ConfigError, TelemetryOptions, config};
use serde::Deserialize;

/// The whole file, with its secrets: not to be printed. See deploy/local/aqueduct.toml for what each key means.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Where it was read from.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    pub(crate) eventstore: EventStore,
    pub(crate) kafka: Kafka,
    pub(crate) registry: Registry,
    pub(crate) postgres: Postgres,
    pub(crate) schemas: Schemas,
    pub(crate) http: Http,
    pub(crate) relay: aqueduct_relay::Options,
    #[serde(default)]
    pub(crate) projection: Projection,
    pub(crate) demo: Demo,
    #[serde(default)]
    pub(crate) telemetry: TelemetryOptions,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventStore {
    pub(crate) url: Option<String>,
    pub(crate) source: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    pub(crate) brokers: Option<String>,
    pub(crate) prefix: String,
    #[serde(default = "broker_default")]
    pub(crate) replication: i32,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
}

const fn broker_default() -> i32 {
    -1
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    pub(crate) url: Option<String>,
}

/// What differs from the defaults of [`aqueduct_projection::Options`].
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Projection {
    pub(crate) batch_size: Option<usize>,
    pub(crate) batch_wait_ms: Option<u64>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) session_timeout_ms: Option<u32>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schemas {
    pub(crate) directory: PathBuf,
    pub(crate) contexts: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) relay: SocketAddr,
    pub(crate) project: SocketAddr,
    pub(crate) users: SocketAddr,
    pub(crate) orders: SocketAddr,
    pub(crate) legacy_orders: SocketAddr,
    pub(crate) inventory: SocketAddr,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demo {
    pub(crate) input: PathBuf,
}

/// A server's address is needed and not configured.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{key}` is not configured: write it into {path}, or set {variable}; `aqueduct demo` starts a server \
     of its own for each that is not configured"
)]
pub(crate) struct NotConfigured {
    key: &'static str,
    variable: String,
    path: PathBuf,
}

/// Addresses of all servers, with their secrets.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) eventstore: String,
    pub(crate) brokers: String,
    pub(crate) registry: String,
    pub(crate) postgres: String,
}

impl Addresses {
    /// The environment in which another process of this binary finds the same servers.
    pub(crate) fn to_environment(&self) -> Vec<(String, String)> {
        let Self { eventstore, brokers, registry, postgres } = self;
        [(EVENTSTORE, eventstore), (BROKERS, brokers), (REGISTRY, registry), (POSTGRES, postgres)]
            .map(|(key, value)| (variable(key), value.clone()))
            .to_vec()
    }
}

const EVENTSTORE: &str = "eventstore.url";
const BROKERS: &str = "kafka.brokers";
const REGISTRY: &str = "registry.url";
const POSTGRES: &str = "postgres.url";

fn variable(key: &str) -> String {
    format!("AQUEDUCT_{}", key.replace('.', "__").to_uppercase())
}

impl Configuration {
    /// Reads the file and the environment. Relative paths become relative to the file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut configuration: Self = config::load(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for relative in [&mut configuration.schemas.directory, &mut configuration.demo.input] {
            *relative = folder.join(&*relative);
        }
        configuration.path = path.to_owned();
        Ok(configuration)
    }

    /// The addresses, all of which must be configured.
    pub(crate) fn addresses(&self) -> Result<Addresses, NotConfigured> {
        let required = |key, value: &Option<String>| {
            let missing = || NotConfigured { key, variable: variable(key), path: self.path.clone() };
            value.clone().filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        Ok(Addresses {
            eventstore: required(EVENTSTORE, &self.eventstore.url)?,
            brokers: required(BROKERS, &self.kafka.brokers)?,
            registry: required(REGISTRY, &self.registry.url)?,
            postgres: required(POSTGRES, &self.postgres.url)?,
        })
    }

    /// The same configuration with these addresses.
    pub(crate) fn with(mut self, addresses: Addresses) -> Self {
        self.eventstore.url = Some(addresses.eventstore);
        self.kafka.brokers = Some(addresses.brokers);
        self.registry.url = Some(addresses.registry);
        self.postgres.url = Some(addresses.postgres);
        self
    }

    /// The schemas.
    pub(crate) fn schemas(&self) -> Result<Arc<SchemaSet>, LoadError> {
        SchemaSet::load(&self.schemas.directory).map(Arc::new)
    }

    /// What the relay needs.
    pub(crate) fn relay_options(&self, addresses: &Addresses) -> aqueduct_relay::Options {
        aqueduct_relay::Options {
            prefix: self.kafka.prefix.clone(),
            source: self.eventstore.source.clone(),
            brokers: addresses.brokers.clone(),
            properties: self.kafka.properties.clone(),
            replication_factor: self.kafka.replication,
            ..self.relay.clone()
        }
    }

    /// What projections and reactors need.
    pub(crate) fn projection_options(&self, addresses: &Addresses) -> aqueduct_projection::Options {
        let postgres = PostgresOptions::new(&addresses.postgres);
        let defaults = aqueduct_projection::Options::new(postgres, &addresses.brokers);
        let Projection { batch_size, batch_wait_ms, concurrency, session_timeout_ms } = self.projection;
        aqueduct_projection::Options {
            prefix: self.kafka.prefix.clone(),
            source: self.eventstore.source.clone(),
            properties: self.kafka.properties.clone(),
            batch_size: batch_size.unwrap_or(defaults.batch_size),
            batch_wait_ms: batch_wait_ms.unwrap_or(defaults.batch_wait_ms),
            concurrency: concurrency.unwrap_or(defaults.concurrency),
            session_timeout_ms: session_timeout_ms.unwrap_or(defaults.session_timeout_ms),
            ..defaults
        }
    }

    /// How to reach the registry.
    pub(crate) fn registry_options(&self, addresses: &Addresses) -> RegistryOptions {
        let Registry { username, password, ca_file, .. } = self.registry.clone();
        RegistryOptions { username, password, ca_file, ..RegistryOptions::new(&addresses.registry) }
    }
}
