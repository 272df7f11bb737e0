//! The file of an example.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeSeed as _;
use serde_json::{Map, Value};

use crate::record::envelope::{Envelope, Previous};
use crate::sql::events::SqlEvent;
use crate::sql::fields::Fields;
use crate::sql::pins::PinnedVersion;

/// Events, and the rows of tables after them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    pub(crate) given: Vec<GivenEvent>,
    /// All rows of a table, with the columns that are compared.
    pub(crate) expected: BTreeMap<String, Vec<Map<String, Value>>>,
}

/// An event, with as much of its metadata as matters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenEvent {
    pub(crate) stream: String,
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    /// By its field names in Avro.
    data: Map<String, Value>,
    topic: Option<String>,
    #[serde(default)]
    time: Timestamp,
    event_id: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
}

impl GivenEvent {
    /// The event as a statement reads it. An error says what is wrong with its data.
    pub(crate) fn event(
        self,
        number: u64,
        revision: u64,
        topic: &str,
        pinned: Option<&PinnedVersion>,
        fields: &Fields,
    ) -> Result<(SqlEvent, Envelope), String> {
        let data = Value::Object(self.data);
        let data = pinned.map_or(Ok(data.clone()), |pinned| pinned.schema.canonical(&data))?;
        let data = fields.deserialize(data).map_err(|error| error.to_string())?;
        let version = pinned.map(|pinned| pinned.version);
        let topic: Arc<str> = self.topic.as_deref().unwrap_or(topic).into();
        let envelope = Envelope {
            source: "example".to_owned(),
            id: format!("{revision}@{}", self.stream),
            stream: self.stream.as_str().into(),
            revision,
            previous: Previous::Unknown,
            position: Some(number),
            event_id: self.event_id,
            full_type: self.event_type,
            time: self.time,
            schema_version: version.unwrap_or(1),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            traceparent: None,
        };
        Ok((SqlEvent { topic, version, data: data.to_string() }, envelope))
    }
}
