//! The schemas of all event types, as Avro has them.

use std::collections::BTreeMap;

use aqueduct_avro::{ParseError, Schema};
use aqueduct_schema::SchemaSet;

use crate::fingerprint::Fingerprint;
use crate::lock::Released;
use crate::version::VersionId;

/// All event types of a folder of schemas, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// By event type.
    pub events: BTreeMap<String, Event>,
}

/// An event type.
#[derive(Debug, Clone)]
pub struct Event {
    /// The folder that contains it.
    pub context: String,
    /// Its name.
    pub event_type: String,
    /// Its versions; the first one is 1.
    pub versions: Vec<EventVersion>,
}

/// A version of an event type.
#[derive(Debug, Clone)]
pub struct EventVersion {
    /// Which one it is.
    pub id: VersionId,
    /// Its schema as it is registered.
    pub schema: Schema,
    /// What a release writes down of it.
    pub fingerprints: Released,
}

/// A schema that was loaded is not one to Avro.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", id.file())]
pub struct CatalogueError {
    /// The version.
    pub id: VersionId,
    /// Why.
    pub source: ParseError,
}

impl Catalogue {
    /// The schemas of a set.
    pub fn new(set: &SchemaSet) -> Result<Self, CatalogueError> {
        let mut events = BTreeMap::new();
        for event in set.events() {
            let (context, event_type) = (event.context().to_owned(), event.event_type().to_owned());
            let mut versions = Vec::new();
            for version in 1..=event.latest() {
                let id = VersionId { context: context.clone(), event_type: event_type.clone(), version };
                let schema = Schema::parse(event.schema(version).unwrap_or_default())
                    .map_err(|source| CatalogueError { id: id.clone(), source })?;
                let rules = event.rules(version);
                let rules: Vec<_> = rules.iter().map(|(field, rule)| (field.as_str(), *rule)).collect();
                let fingerprints = Released {
                    schema: Fingerprint::of_schema(&schema),
                    rules: (!rules.is_empty()).then(|| Fingerprint::of_rules(rules)),
                };
                versions.push(EventVersion { id, schema, fingerprints });
            }
            events.insert(event_type.clone(), Event { context, event_type, versions });
        }
        Ok(Self { events })
    }

    /// A version, if there is a file of it.
    pub fn version(&self, id: &VersionId) -> Option<&EventVersion> {
        let event = self.events.get(&id.event_type).filter(|event| event.context == id.context)?;
        event.version(id.version)
    }
}

impl Event {
    /// A version, if there is a file of it.
    pub fn version(&self, version: u32) -> Option<&EventVersion> {
        self.versions.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    /// The latest version.
    pub fn latest(&self) -> Option<&EventVersion> {
        self.versions.last()
    }
}
