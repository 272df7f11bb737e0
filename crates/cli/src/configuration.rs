//! `aqueduct.toml`, as all commands share it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct_schema::{LoadError, RegistryOptions, SchemaSet};
use aqueduct_service::sections::{
    EventStore, Http, Kafka, NotConfigured, Postgres, Projection, Registry, Schemas,
};
use aqueduct_service::{ConfigError, TelemetryOptions, config};
use aqueduct_shop::process::{projection_options, registry_options};
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
pub(crate) struct Demo {
    pub(crate) input: PathBuf,
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
        let addresses = [
            (EventStore::ADDRESS, eventstore),
            (Kafka::ADDRESS, brokers),
            (Registry::ADDRESS, registry),
            (Postgres::ADDRESS, postgres),
        ];
        addresses.map(|(key, value)| (config::variable(key), value.clone())).to_vec()
    }
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
        configuration.refuse_what_the_relay_is_told_elsewhere()?;
        Ok(configuration)
    }

    /// [`relay_options`](Self::relay_options) takes these from other sections; here they would have no effect.
    fn refuse_what_the_relay_is_told_elsewhere(&self) -> Result<(), ConfigError> {
        let (section, unset) = (&self.relay, aqueduct_relay::Options::default());
        for (key, is_set, instead) in [
            ("prefix", section.prefix != unset.prefix, "kafka.prefix"),
            ("source", section.source != unset.source, "eventstore.source"),
            ("brokers", section.brokers != unset.brokers, Kafka::ADDRESS),
            ("properties", section.properties != unset.properties, "kafka.properties"),
            (
                "replication_factor",
                section.replication_factor != unset.replication_factor,
                "kafka.replication",
            ),
        ] {
            if is_set {
                let (place, key) = (self.path.display().to_string(), format!("relay.{key}"));
                return Err(ConfigError::UnknownKey {
                    place,
                    key,
                    hint: format!(", did you mean `{instead}`?"),
                });
            }
        }
        Ok(())
    }

    /// The addresses, all of which must be configured.
    pub(crate) fn addresses(&self) -> Result<Addresses, NotConfigured> {
        Ok(Addresses {
            eventstore: self.eventstore.address(&self.path)?,
            brokers: self.kafka.address(&self.path)?,
            registry: self.registry.address(&self.path)?,
            postgres: self.postgres.address(&self.path)?,
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
        let servers = (addresses.postgres.as_str(), addresses.brokers.as_str());
        projection_options(&self.eventstore, &self.kafka, &self.projection, servers)
    }

    /// How to reach the registry.
    pub(crate) fn registry_options(&self, addresses: &Addresses) -> RegistryOptions {
        registry_options(&self.registry, &addresses.registry)
    }
}
