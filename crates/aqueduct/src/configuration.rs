//! `aqueduct.toml`, as all commands share it.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct_evolution::Policy;
use aqueduct_kafka::Cluster;
use aqueduct_projection::{DefinitionError, PostgresOptions, SqlProjection};
use aqueduct_relay::EventsOptions;
use aqueduct_schema::RegistryOptions;
use aqueduct_service::TelemetryOptions;
use aqueduct_service::config::{ConfigError, Document};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::sections::{EventStore, Http, Kafka, NotConfigured, Postgres, Projection, Registry, Schemas};

/// What the relay takes from other sections.
const ELSEWHERE: [(&str, &str); 4] = [
    ("relay.prefix", "kafka.prefix"),
    ("relay.source", "eventstore.source"),
    ("relay.brokers", Kafka::ADDRESS),
    ("relay.properties", "kafka.properties"),
];

/// The whole configuration, with its secrets: it must not be printed.
#[derive(Clone)]
pub struct Configuration {
    /// The file it was read from.
    pub path: PathBuf,
    /// `[eventstore]`
    pub eventstore: EventStore,
    /// `[kafka]`
    pub kafka: Kafka,
    /// `[registry]`
    pub registry: Registry,
    /// `[postgres]`
    pub postgres: Postgres,
    /// `[schemas]`
    pub schemas: Schemas,
    /// `[http]`
    pub http: Http,
    /// `[events]`
    pub events: EventsOptions,
    /// `[relay]`; [`relay_options`](Self::relay_options) adds what `[kafka]` and `[events]` say.
    pub relay: aqueduct_relay::Options,
    /// `[projection]`
    pub projection: Projection,
    /// `[telemetry]`
    pub telemetry: TelemetryOptions,
    /// What the user should know, although the configuration can be used.
    pub warnings: Vec<String>,
    own: HashMap<TypeId, Result<Value, Arc<ConfigError>>>,
}

/// A section that the user added, of any type.
type Value = Arc<dyn Any + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    eventstore: EventStore,
    #[serde(default)]
    kafka: Kafka,
    #[serde(default)]
    registry: Registry,
    #[serde(default)]
    postgres: Postgres,
    #[serde(default)]
    schemas: Schemas,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    events: EventsOptions,
    #[serde(default)]
    relay: aqueduct_relay::Options,
    #[serde(default)]
    projection: Projection,
    #[serde(default)]
    telemetry: TelemetryOptions,
}

/// Declares a section that the user added.
#[derive(Clone, Copy)]
pub(crate) struct OwnSection {
    name: &'static str,
    id: TypeId,
    read: fn(&mut Document, &str) -> Result<Value, ConfigError>,
}

impl OwnSection {
    pub(crate) fn new<T: DeserializeOwned + Send + Sync + 'static>(name: &'static str) -> Self {
        let read = |document: &mut Document, name: &str| Ok(Arc::new(document.section::<T>(name)?) as Value);
        Self { name, id: TypeId::of::<T>(), read }
    }
}

/// The user's section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// A value in it is missing.
    #[error(transparent)]
    Configuration(#[from] Arc<ConfigError>),
    /// No section has this type.
    #[error("no section of the configuration is of type {0}: register it with App::section")]
    NotRegistered(&'static str),
}

impl Configuration {
    /// Reads the product's sections of the file and the environment; another section is an error.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &[], &[])
    }

    /// Also reads the user's own sections, and keys where an earlier version had them.
    pub(crate) fn load_with(
        path: &Path,
        own_sections: &[OwnSection],
        moved: &[(&str, &str)],
    ) -> Result<Self, ConfigError> {
        let mut document = Document::read(path, moved)?;
        let mut own = HashMap::new();
        for OwnSection { name, id, read } in own_sections {
            let section = match read(&mut document, name) {
                Ok(section) => Ok(section),
                // What is missing matters only to the command that asks for it.
                Err(error @ ConfigError::Missing { .. }) => Err(Arc::new(error)),
                Err(error) => return Err(error),
            };
            own.insert(*id, section);
        }
        let mut sections: Sections = document.rest().map_err(name_section)?;
        refuse_replication_factor(path, &sections.relay)?;
        // Relative to the file, wherever the process runs.
        sections.schemas.directory = directory(path).join(&sections.schemas.directory);
        let Sections {
            eventstore,
            kafka,
            registry,
            postgres,
            schemas,
            http,
            events,
            relay,
            projection,
            telemetry,
        } = sections;
        events.mapping().map_err(|error| ConfigError::Value {
            place: path.display().to_string(),
            key: format!("events.{}", error.key),
            problem: error.problem,
        })?;
        let mut warnings = document.warnings().to_vec();
        if !schemas.contexts.is_empty() {
            let policy = schemas.directory.join(Policy::FILE);
            warnings.push(format!(
                "{}: [schemas.contexts] is replaced by {}, which names event types instead of contexts: `aqueduct schemas policy` \
                 prints what to write there",
                path.display(),
                policy.display()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            eventstore,
            kafka,
            registry,
            postgres,
            schemas,
            http,
            events,
            relay,
            projection,
            telemetry,
            warnings,
            own,
        })
    }

    /// The folder of the file, to which relative paths in it refer.
    pub fn directory(&self) -> &Path {
        directory(&self.path)
    }

    /// The user's own section of this type, see [`App::section`](crate::App::section).
    pub fn section<T: Clone + Send + Sync + 'static>(&self) -> Result<T, SectionError> {
        let not_registered = || SectionError::NotRegistered(type_name::<T>());
        let section = self.own.get(&TypeId::of::<T>()).ok_or_else(not_registered)?;
        let section = section.as_ref().map_err(Arc::clone)?;
        section.downcast_ref::<T>().cloned().ok_or_else(not_registered)
    }

    /// How to reach Kafka, which must be configured, and the names to use there.
    pub fn cluster(&self) -> Result<Cluster, NotConfigured> {
        Ok(Cluster {
            brokers: self.kafka.address(&self.path)?,
            properties: self.kafka.properties.clone(),
            prefix: self.kafka.prefix.clone(),
            source: self.eventstore.source.clone(),
        })
    }

    /// What the relay needs in addition to [`cluster`](Self::cluster).
    pub fn relay_options(&self) -> aqueduct_relay::Options {
        aqueduct_relay::Options {
            replication_factor: self.kafka.replication,
            events: self.events.clone(),
            ..self.relay.clone()
        }
    }

    /// What projections and reactors need. Kafka and Postgres must be configured.
    pub fn projection_options(&self) -> Result<aqueduct_projection::Options, NotConfigured> {
        let postgres = PostgresOptions::new(self.postgres.address(&self.path)?);
        let defaults = aqueduct_projection::Options::new(postgres, self.cluster()?);
        let Projection { batch_size, batch_wait_ms, concurrency, session_timeout_ms, .. } = self.projection;
        Ok(aqueduct_projection::Options {
            topic_prefix: self.projection.topic_prefix.clone(),
            batch_size: batch_size.unwrap_or(defaults.batch_size),
            batch_wait_ms: batch_wait_ms.unwrap_or(defaults.batch_wait_ms),
            concurrency: concurrency.unwrap_or(defaults.concurrency),
            session_timeout_ms: session_timeout_ms.unwrap_or(defaults.session_timeout_ms),
            ..defaults
        })
    }

    /// The projections in the directory of SQL projections, if there is one.
    pub fn sql_projections(&self) -> Result<Vec<SqlProjection>, DefinitionError> {
        let Some(directory) = &self.projection.directory else { return Ok(Vec::new()) };
        SqlProjection::load_all(&self.directory().join(directory))
    }

    /// How to reach the registry, which must be configured.
    pub fn registry_options(&self) -> Result<RegistryOptions, NotConfigured> {
        let Registry { username, password, authority, .. } = self.registry.clone();
        let url = self.registry.address(&self.path)?;
        Ok(RegistryOptions { username, password, ca_file: authority, ..RegistryOptions::new(url) })
    }

    /// How to reach the event store, which must be configured.
    pub fn eventstore_options(&self) -> Result<aqueduct_eventstore::Options, NotConfigured> {
        Ok(aqueduct_eventstore::Options::new(self.eventstore.address(&self.path)?))
    }
}

fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Names the section of a key that the relay takes from another one.
fn name_section(mut error: ConfigError) -> ConfigError {
    if let ConfigError::UnknownKey { key, hint, .. } = &mut error
        && let Some((_, elsewhere)) = ELSEWHERE.iter().find(|(name, _)| key == name)
    {
        *hint = format!(", did you mean `{elsewhere}`?");
    }
    error
}

/// [`relay_options`](Configuration::relay_options) takes it from `[kafka]`; in `[relay]` it would have no effect.
fn refuse_replication_factor(path: &Path, relay: &aqueduct_relay::Options) -> Result<(), ConfigError> {
    if relay.replication_factor == aqueduct_relay::Options::default().replication_factor {
        return Ok(());
    }
    Err(ConfigError::UnknownKey {
        place: path.display().to_string(),
        key: "relay.replication_factor".to_owned(),
        hint: ", did you mean `kafka.replication`?".to_owned(),
    })
}
