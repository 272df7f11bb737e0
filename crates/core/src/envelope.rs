//! Events and their metadata.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{CommandId, Revision, StreamName};
use crate::position::Position;

/// The metadata that this product stores with every event, as JSON. Names that begin with `$` are EventStoreDB's
/// own: its `$by_correlation_id` projection reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Version of the schema that the data conforms to.
    pub schema_version: u32,
    /// Type of the aggregate, for example `order`.
    pub aggregate_type: String,
    /// Id of the aggregate, for example `536365`.
    pub aggregate_id: String,
    /// When the event was decided, by the clock of the process.
    pub timestamp: Timestamp,
    /// Shared by everything that one request caused.
    #[serde(rename = "$correlationId")]
    pub correlation_id: Uuid,
    /// The message that caused the event: the command's id, or for a reactor the id of the event it reacted to.
    #[serde(rename = "$causationId")]
    pub causation_id: Uuid,
    /// The command that appended the event; identifies a command that is sent again.
    pub command_id: CommandId,
    /// Fingerprint of the payload of that command, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_fingerprint: Option<Uuid>,
    /// W3C trace context of the span that appended the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The metadata of a stored event is not of the form that this product writes.
#[derive(Debug, thiserror::Error)]
#[error("metadata of event {revision}@{stream} cannot be read")]
pub struct MetadataError {
    stream: StreamName,
    revision: Revision,
    source: serde_json::Error,
}

/// What the writer of an event declared its data to be. The store does not check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentType {
    /// `application/json`
    #[default]
    Json,
    /// `application/octet-stream`
    Binary,
}

impl ContentType {
    /// The media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Binary => "application/octet-stream",
        }
    }
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Id by which the store recognises a duplicate append. Not unique in the store: (stream, revision) is.
    pub id: Uuid,
    /// Event type, for example `OrderCreated`.
    pub event_type: String,
    /// JSON.
    pub data: Bytes,
    /// JSON, see [`Metadata`].
    pub metadata: Bytes,
}

/// An event as the store returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its stream.
    pub stream: StreamName,
    /// Its revision in the stream.
    pub revision: Revision,
    /// Its position in `$all`.
    pub position: Position,
    /// The id it was appended with; not unique.
    pub id: Uuid,
    /// Event type.
    pub event_type: String,
    /// What its writer declared the data to be.
    pub content_type: ContentType,
    /// JSON for events of this product; any bytes for those of others.
    pub data: Bytes,
    /// JSON for events of this product; any bytes, or none, for those of others.
    pub metadata: Bytes,
    /// When the store recorded it.
    pub created: Timestamp,
}

impl RecordedEvent {
    /// The metadata, parsed.
    pub fn parse_metadata(&self) -> Result<Metadata, MetadataError> {
        serde_json::from_slice(&self.metadata).map_err(|source| MetadataError {
            stream: self.stream.clone(),
            revision: self.revision,
            source,
        })
    }

    /// [`Metadata::command_fingerprint`], also of metadata that others wrote.
    pub(crate) fn command_fingerprint(&self) -> Option<Uuid> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fingerprint {
            command_fingerprint: Option<Uuid>,
        }
        serde_json::from_slice::<Fingerprint>(&self.metadata).ok()?.command_fingerprint
    }

    /// `7@order-42`: EventStoreDB's own notation, unique in the store.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.revision, self.stream)
    }
}
