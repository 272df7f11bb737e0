//! Type map and metadata mapping together: how an event is read.

use std::borrow::Cow;

use crate::error::ErrorKind;
use crate::mapping::configuration::ConfigurationError;
use crate::mapping::metadata::MetadataMapping;
use crate::mapping::reader::{EventMetadata, MetadataFieldError, MetadataReader};
use crate::mapping::types::{MappedType, TypeError, TypeMap, TypeNames};

/// How events that may be others' are read: their metadata and their types. The default reads what Aqueduct's
/// own services write.
#[derive(Debug, Clone)]
pub struct EventMapping {
    metadata: MetadataReader,
    types: TypeNames,
}

impl Default for EventMapping {
    #[expect(
        clippy::expect_used,
        reason = "the built-in pointers are within the bounds, and an empty type map"
    )]
    fn default() -> Self {
        Self::new(&MetadataMapping::default(), &TypeMap::default()).expect("the built-in mapping")
    }
}

impl EventMapping {
    /// Compiles both mappings. The error names the key and the problem.
    pub fn new(metadata: &MetadataMapping, types: &TypeMap) -> Result<Self, ConfigurationError> {
        Ok(Self { metadata: metadata.compile()?, types: types.compile()? })
    }

    /// The event's name, version and metadata. An error means that the event is bad under this mapping.
    pub fn read<'a>(
        &'a self,
        stored_type: &'a str,
        metadata: &'a [u8],
        data: &'a [u8],
    ) -> Result<MappedEvent<'a>, EventMappingError> {
        self.with_type(self.types.resolve(stored_type)?, metadata, data)
    }

    fn with_type<'a>(
        &'a self,
        mapped: MappedType<'a>,
        metadata: &'a [u8],
        data: &'a [u8],
    ) -> Result<MappedEvent<'a>, EventMappingError> {
        let (version, metadata) = self.read_metadata(mapped.version, metadata, data)?;
        Ok(MappedEvent { event_type: mapped.event, version, metadata })
    }

    /// The version and the metadata of an event for a caller that keeps the mapped types, see
    /// [`TypeCache`](super::TypeCache): `mapped` is the version that the stored type has.
    pub fn read_metadata<'a>(
        &self,
        mapped: Option<u32>,
        metadata: &'a [u8],
        data: &'a [u8],
    ) -> Result<(Option<u32>, EventMetadata<'a>), EventMappingError> {
        let metadata = self.metadata.read(metadata, data)?;
        match (mapped, metadata.schema_version) {
            (Some(mapped), Some(stored)) if mapped != stored => {
                Err(EventMappingError::VersionsDiffer { mapped, stored })
            }
            (mapped, stored) => Ok((mapped.or(stored), metadata)),
        }
    }

    /// The type map's part.
    pub fn types(&self) -> &TypeNames {
        &self.types
    }
}

/// An event as its mapping reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedEvent<'a> {
    /// Name of the event, `OrderPlaced`.
    pub event_type: Cow<'a, str>,
    /// Version of its schema; none means the latest.
    pub version: Option<u32>,
    /// Time, ids and trace context, and what was left out.
    pub metadata: EventMetadata<'a>,
}

/// Why an event cannot be read through its mapping. The message names no value of the event: metadata and data
/// may hold what must not reach a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventMappingError {
    /// The stored type has no event name.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The schema version or the time has a wrong form.
    #[error(transparent)]
    Field(#[from] MetadataFieldError),
    /// Type map and metadata contradict each other.
    #[error("the type map says version {mapped}, the metadata says version {stored}")]
    VersionsDiffer {
        /// Version from the stored type name.
        mapped: u32,
        /// Version from the metadata or the data.
        stored: u32,
    },
}

impl EventMappingError {
    /// Always [`ErrorKind::Park`]: the same event under the same mapping fails again.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Park
    }

    /// A stable name for metrics and reports.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Type(_) => "unmapped_type",
            Self::Field(_) => "metadata",
            Self::VersionsDiffer { .. } => "versions_differ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(metadata: &str, types: &str) -> EventMapping {
        EventMapping::new(&serde_json::from_str(metadata).unwrap(), &serde_json::from_str(types).unwrap())
            .unwrap()
    }

    #[test]
    fn the_version_may_come_from_the_type_the_metadata_or_both() {
        let mapping =
            mapping(r#"{"schema_version":["data:/SchemaVersion"]}"#, r#"{"V{version}.{event}":"{event}"}"#);
        let version = |stored, metadata: &'static [u8], data: &'static [u8]| {
            mapping.read(stored, metadata, data).map(|event| event.version)
        };
        assert_eq!(version("V2.RoomBooked", b"", b"{}"), Ok(Some(2)));
        assert_eq!(version("RoomBooked", b"{\"schemaVersion\":\"3\"}", b"{}"), Ok(Some(3)));
        assert_eq!(version("RoomBooked", b"null", b"{}"), Ok(None));
        assert_eq!(version("V2.RoomBooked", b"", b"{\"SchemaVersion\":2}"), Ok(Some(2)));
        let differs = version("V2.RoomBooked", b"", b"{\"SchemaVersion\":3}").unwrap_err();
        assert_eq!(differs, EventMappingError::VersionsDiffer { mapped: 2, stored: 3 });
        assert_eq!(differs.to_string(), "the type map says version 2, the metadata says version 3");
    }

    #[test]
    fn what_cannot_be_mapped_is_a_bad_event() {
        let mapping = EventMapping::default();
        let unmapped = mapping.read("Acme.Orders.OrderPlaced, Acme.Orders", b"", b"{}").unwrap_err();
        let wrong_form = mapping.read("OrderPlaced", b"{\"timestamp\":true}", b"{}").unwrap_err();
        assert_eq!([unmapped.label(), wrong_form.label()], ["unmapped_type", "metadata"]);
        assert_eq!([unmapped.kind(), wrong_form.kind()], [ErrorKind::Park, ErrorKind::Park]);
    }
}
