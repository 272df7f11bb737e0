//! What is known of the events of topics before one is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aqueduct_core::ErrorKind;

use crate::reader::ReaderSchema;
use crate::registry::{Registry, RegistryError};
use crate::set::SchemaSet;

/// The event types of topics and the schemas of their versions, from the schema files or, where those have none, from the
/// registry. The default knows nothing.
#[derive(Debug, Clone, Default)]
pub struct TopicSchemas {
    /// The schema files.
    pub files: Option<Arc<SchemaSet>>,
    /// The event types that a topic may carry, by topic.
    pub events: BTreeMap<String, Vec<String>>,
    /// The registry, with a subject for each topic and event type.
    pub registry: Option<Registry>,
}

/// The schema of a version is not known.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The schema files have the event type, but not the version.
    #[error("event type {event_type} has no version {version}: the schema files have versions 1 to {latest}")]
    NoVersion {
        /// The event type.
        event_type: String,
        /// The version that was asked for.
        version: u32,
        /// The latest version.
        latest: u32,
    },
    /// Nothing is known of the event type.
    #[error(
        "event type {event_type} has no schema: neither in the schema files nor under a subject {topics}-….{event_type} in the \
         registry"
    )]
    Unknown {
        /// The event type.
        event_type: String,
        /// The topics, separated by `|`.
        topics: String,
    },
    /// Event types of several namespaces have this name.
    #[error(
        "event type {event_type} has several subjects in the registry: {}; add its schema files, which decide which of them is meant",
        subjects.join(", ")
    )]
    Ambiguous {
        /// The event type.
        event_type: String,
        /// The subjects.
        subjects: Vec<String>,
    },
    /// The schema cannot be used.
    #[error("the schema of version {version} of event type {event_type} cannot be used: {problem}")]
    Unusable {
        /// The event type.
        event_type: String,
        /// The version.
        version: u32,
        /// What is wrong with it.
        problem: String,
    },
    /// The registry could not be asked, or does not have the version.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl VersionError {
    /// Whether to ask again later.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::NoVersion { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::Unusable { .. } => ErrorKind::Stop,
        }
    }
}

impl TopicSchemas {
    /// The event types that a topic is known to carry; `None` if nothing is known of it.
    pub async fn event_types(&self, topic: &str) -> Result<Option<BTreeSet<String>>, RegistryError> {
        if let (Some(_), Some(events)) = (&self.files, self.events.get(topic)) {
            return Ok(Some(events.iter().cloned().collect()));
        }
        let subjects = self.subjects().await?;
        let names = subjects.iter().filter_map(|subject| full_name(subject, topic));
        let types: BTreeSet<_> = names.map(|name| event_type(name).to_owned()).collect();
        Ok((!types.is_empty()).then_some(types))
    }

    /// The schema of a version of an event type that one of the topics carries: the version of the schema files, or where they
    /// do not have the type, that of the registry's subject.
    pub async fn version(
        &self,
        topics: &[String],
        event_type: &str,
        version: u32,
    ) -> Result<ReaderSchema, VersionError> {
        let text = match self.files.as_ref().and_then(|files| files.event(event_type)) {
            Some(event) => event.schema(version).map(str::to_owned).ok_or_else(|| {
                VersionError::NoVersion { event_type: event_type.to_owned(), version, latest: event.latest() }
            })?,
            None => self.registered(topics, event_type, version).await?,
        };
        ReaderSchema::parse(&text).map_err(|problem| VersionError::Unusable {
            event_type: event_type.to_owned(),
            version,
            problem,
        })
    }

    async fn registered(&self, topics: &[String], asked: &str, version: u32) -> Result<String, VersionError> {
        let subjects = self.subjects().await?;
        // By the record's full name, which may be on several of the topics.
        let mut found = BTreeMap::new();
        for subject in &subjects {
            let mut names = topics.iter().filter_map(|topic| full_name(subject, topic));
            if let Some(name) = names.find(|name| event_type(name) == asked) {
                found.entry(name).or_insert(subject);
            }
        }
        let event_type = asked.to_owned();
        match (found.first_key_value(), &self.registry) {
            (Some(_), _) if found.len() > 1 => {
                let subjects = found.into_values().cloned().collect();
                Err(VersionError::Ambiguous { event_type, subjects })
            }
            (Some((_, subject)), Some(registry)) => Ok(registry.schema_of(subject, version).await?),
            _ => Err(VersionError::Unknown { event_type, topics: topics.join("|") }),
        }
    }

    async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        match &self.registry {
            Some(registry) => registry.subjects().await,
            None => Ok(Vec::new()),
        }
    }
}

/// The record's full name in a subject of a topic.
fn full_name<'s>(subject: &'s str, topic: &str) -> Option<&'s str> {
    let name = subject.strip_prefix(topic)?.strip_prefix('-')?;
    // Names of records have no dash: this is a subject of another topic, or for its keys or values as a whole.
    let is_name = !name.contains('-') && name != "key" && name != "value";
    is_name.then_some(name)
}

/// The full name without its namespace.
fn event_type(full_name: &str) -> &str {
    full_name.rsplit_once('.').map_or(full_name, |(_, name)| name)
}
