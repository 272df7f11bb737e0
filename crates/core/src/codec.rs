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

/// An event does not conform to its schema. The cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[error("event type {event_type}, version {version}: {problem}")]
pub struct CodecError {
    /// Type of the event.
    pub event_type: String,
    /// Schema version, 0 if none is known.
    pub version: u32,
    /// What is wrong and where: an unknown type, or the path of the invalid field.
    pub problem: String,
    /// The underlying error, if there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CodecError {
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
