//! The port to the schemas.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::ErrorKind;

/// Checks events before they are stored and reads stored events of any version. Implemented by `aqueduct-schema`
/// on `.avsc` files. Both directions are plain JSON.
pub trait Codec: Send + Sync + 'static {
    /// Checks JSON of the latest version against its schema *before* it is appended and returns the version
    /// and the bytes to store.
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError>;

    /// Upcasts stored JSON of any version to the latest one. Bytes of the latest version are returned unchanged.
    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError>;

    /// Brings stored JSON that another program wrote, and that nobody checked against a schema, to the latest
    /// version in canonical form. Without a version it is read as the latest one, missing fields by their
    /// defaults.
    fn read_foreign(
        &self,
        event_type: &str,
        version: Option<u32>,
        stored: &Bytes,
    ) -> Result<Bytes, CodecError> {
        match version {
            Some(version) => self.upcast(event_type, version, stored),
            None => self.encode(event_type, stored.to_vec()).map(|(_, canonical)| canonical),
        }
    }
}

/// In which way an event does not conform to its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CodecProblem {
    /// The data is not JSON.
    NotJson,
    /// There is no schema for the event type.
    UnknownType,
    /// There is no schema of this version.
    UnknownVersion,
    /// The data does not fit the schema of its version.
    #[default]
    Payload,
    /// The data fits its version, and cannot be brought to the latest one.
    Upcast,
    /// The data, or what an upcast made of it, is too large.
    TooLarge,
}

/// An event does not conform to its schema. The cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[error("event type {event_type}, version {version}: {problem}")]
pub struct CodecError {
    /// Type of the event.
    pub event_type: String,
    /// Schema version, 0 if none is known.
    pub version: u32,
    /// In which way.
    pub category: CodecProblem,
    /// The path of the field that does not fit, `lines[2].unitPrice`, where there is one. It contains names, and in
    /// place of the keys of a map `[…]`.
    pub place: Option<String>,
    /// What is wrong and where: an unknown type, or the path of the invalid field.
    pub problem: String,
    /// The underlying error, if there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CodecError {
    /// What is wrong without any value of the event, for places where these must not be stored.
    pub fn without_values(&self) -> String {
        let Self { event_type, version, place, .. } = self;
        let event = format!("event type {event_type}, version {version}");
        let at = place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        match self.category {
            CodecProblem::NotJson => format!("{event}: the data is not JSON"),
            CodecProblem::UnknownType => format!("{event}: there is no schema for this event type"),
            CodecProblem::UnknownVersion => format!("{event}: there is no schema of this version"),
            CodecProblem::Payload => format!("{event}: the data does not fit the schema{at}"),
            CodecProblem::Upcast => format!("{event}: upcasting to the latest version fails{at}"),
            CodecProblem::TooLarge => format!("{event}: the data is too large"),
        }
    }

    /// Always [`ErrorKind::Park`]: the same bytes and schemas lead to the same error.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Park
    }
}

/// Accepts every event unchanged, as version 1: for tests of domain code without schemas.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainCodec;

impl Codec for PlainCodec {
    fn encode(&self, _event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        Ok((1, latest.into()))
    }

    fn upcast(&self, _event_type: &str, _version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        Ok(stored.clone())
    }
}

impl<C: Codec + ?Sized> Codec for Arc<C> {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        (**self).encode(event_type, latest)
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        (**self).upcast(event_type, version, stored)
    }

    fn read_foreign(
        &self,
        event_type: &str,
        version: Option<u32>,
        stored: &Bytes,
    ) -> Result<Bytes, CodecError> {
        (**self).read_foreign(event_type, version, stored)
    }
}
