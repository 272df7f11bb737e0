//! What the demo, the checker and the benchmarks add to the product's configuration.

use std::path::PathBuf;

use aqueduct::sections::{EventStore, Kafka, NotConfigured, Postgres, Registry};
use aqueduct::{Configuration, SectionError};
use aqueduct_service::config::variable;
use serde::Deserialize;

/// `[demo]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demo {
    input: PathBuf,
}

impl Demo {
    /// The file of orders that is fed unless another one is given.
    pub(crate) fn input(configuration: &Configuration) -> Result<PathBuf, SectionError> {
        let Self { input } = configuration.section()?;
        Ok(configuration.directory().join(input))
    }
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
    /// The addresses, all of which must be configured.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self, NotConfigured> {
        let Configuration { path, eventstore, kafka, registry, postgres, .. } = configuration;
        Ok(Self {
            eventstore: eventstore.address(path)?,
            brokers: kafka.address(path)?,
            registry: registry.address(path)?,
            postgres: postgres.address(path)?,
        })
    }

    /// The environment in which another process of this binary finds the same servers.
    pub(crate) fn to_environment(&self) -> Vec<(String, String)> {
        let Self { eventstore, brokers, registry, postgres } = self;
        let addresses = [
            (EventStore::ADDRESS, eventstore),
            (Kafka::ADDRESS, brokers),
            (Registry::ADDRESS, registry),
            (Postgres::ADDRESS, postgres),
        ];
        addresses.map(|(key, value)| (variable(key), value.clone())).to_vec()
    }

    /// The configuration with these addresses.
    pub(crate) fn configure(&self, configuration: &Configuration) -> Configuration {
        let Self { eventstore, brokers, registry, postgres } = self.clone();
        let mut configuration = configuration.clone();
        configuration.eventstore.url = Some(eventstore);
        configuration.kafka.brokers = Some(brokers);
        configuration.registry.url = Some(registry);
        configuration.postgres.url = Some(postgres);
        configuration
    }
}
