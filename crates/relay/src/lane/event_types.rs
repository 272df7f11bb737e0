//! What a lane knows of the event types of its records.

use std::collections::HashMap;
use std::sync::Arc;

use aqueduct_core::mapping::{EventMapping, EventMappingError, MappedType, TypeCache};
use aqueduct_schema::{RecordEncoder, RegisteredType};

use crate::lane::problem::EventProblem;
use crate::record::headers::TypeHeaders;

/// The most stored types that are kept; a glob may map any number of them.
const MOST_TYPES: usize = 4096;

/// An event type of which records can be made.
pub(crate) struct EventType<'a> {
    /// The version that the stored type has, where it has one.
    pub(crate) version: Option<u32>,
    pub(crate) registered: RegisteredType<'a>,
    pub(crate) headers: TypeHeaders,
}

/// The event types of a lane's records by their stored types, so that all that is known of one is found at once.
pub(crate) struct EventTypes<'a> {
    /// `ce_source` of every record.
    source: &'a str,
    encoder: &'a RecordEncoder,
    mapped: TypeCache,
    prepared: HashMap<String, Arc<EventType<'a>>>,
}

impl<'a> EventTypes<'a> {
    pub(crate) fn new(source: &'a str, encoder: &'a RecordEncoder) -> Self {
        Self { source, encoder, mapped: TypeCache::default(), prepared: HashMap::new() }
    }

    /// A type that was [prepared](Self::prepare).
    pub(crate) fn get(&self, stored: &str) -> Option<Arc<EventType<'a>>> {
        self.prepared.get(stored).cloned()
    }

    /// The event that a stored type is.
    pub(crate) fn resolve<'t>(
        &'t mut self,
        mapping: &'t EventMapping,
        stored: &'t str,
    ) -> Result<MappedType<'t>, EventMappingError> {
        Ok(self.mapped.resolve(mapping.types(), stored)?)
    }

    /// Looks the type's schema id up and keeps the type. Nothing about an error is kept. `version` is that of the event
    /// that is read, for the error.
    pub(crate) async fn prepare(
        &mut self,
        mapping: &EventMapping,
        stored: &str,
        version: Option<u32>,
    ) -> Result<Arc<EventType<'a>>, EventProblem> {
        let mapped = self.mapped.resolve(mapping.types(), stored).map_err(EventMappingError::from)?;
        let Some(registered) = self.encoder.registered_type(&mapped.event).await? else {
            return Err(self.encoder.unknown_type(&mapped.event, version).into());
        };
        let headers = TypeHeaders::new(self.source, registered.full_name(), registered.schema_version());
        let prepared = Arc::new(EventType { version: mapped.version, registered, headers });
        if self.prepared.len() == MOST_TYPES {
            self.prepared.clear();
        }
        self.prepared.insert(stored.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }
}
