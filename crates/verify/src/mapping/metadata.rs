//! What the metadata of an event says.

use jiff::Timestamp;
use serde::Deserialize;

use super::pointer::{Documents, Pointer};
use super::scalar::{id, version};
use super::time::{TimePointer, time};
use super::trace_context::{TracePointer, trace_context};

/// Where schema version, time, ids and trace context of an event are: the first place that has a value counts. The
/// places at which the product's own services write are tried last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataMapping {
    /// Version of the schema of the data.
    pub schema_version: Vec<Pointer>,
    /// When the event happened.
    pub time: Vec<TimePointer>,
    /// What follows from one request.
    pub correlation_id: Vec<Pointer>,
    /// What the event follows from.
    pub causation_id: Vec<Pointer>,
    /// The span that appended it; texts are tried before pairs.
    pub trace_context: Vec<TracePointer>,
    /// Whether the places of the product's own services are tried at all.
    pub built_in: bool,
}

impl Default for MetadataMapping {
    fn default() -> Self {
        Self {
            schema_version: Vec::new(),
            time: Vec::new(),
            correlation_id: Vec::new(),
            causation_id: Vec::new(),
            trace_context: Vec::new(),
            built_in: true,
        }
    }
}

/// What consumers learn from the metadata; nothing is mandatory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Schema version of the stored data; without one it is the latest of its type.
    pub(crate) version: Option<u32>,
    /// When it happened; without one it is when the store took it.
    pub(crate) time: Option<Timestamp>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) causation_id: Option<String>,
    pub(crate) traceparent: Option<String>,
}

impl MetadataMapping {
    /// These places, then those of another mapping.
    pub(crate) fn then(&self, others: &Self) -> Self {
        fn joined<T: Clone>(first: &[T], then: &[T]) -> Vec<T> {
            first.iter().chain(then).cloned().collect()
        }
        Self {
            schema_version: joined(&self.schema_version, &others.schema_version),
            time: joined(&self.time, &others.time),
            correlation_id: joined(&self.correlation_id, &others.correlation_id),
            causation_id: joined(&self.causation_id, &others.causation_id),
            trace_context: joined(&self.trace_context, &others.trace_context),
            built_in: self.built_in && others.built_in,
        }
    }

    /// With the built-in places as if they were listed, unless they are turned off.
    pub(crate) fn complete(&self) -> Self {
        let built_in = Self {
            schema_version: vec![Pointer::metadata("schemaVersion")],
            time: vec![TimePointer { pointer: Pointer::metadata("timestamp"), unit: None }],
            correlation_id: vec![Pointer::metadata("$correlationId")],
            causation_id: vec![Pointer::metadata("$causationId")],
            trace_context: vec![
                TracePointer::Traceparent(Pointer::metadata("traceparent")),
                TracePointer::Pair {
                    trace_id: Pointer::metadata("$traceId"),
                    span_id: Pointer::metadata("$spanId"),
                },
            ],
            built_in: true,
        };
        if self.built_in { self.then(&built_in) } else { self.clone() }
    }

    /// Reads an event by a mapping that is [complete](Self::complete). `Err` says why it cannot have a record.
    pub(crate) fn read(&self, documents: Documents<'_>) -> Result<Metadata, String> {
        // What a repository of the product appended has a command's id, and keeps its version.
        let is_own =
            documents.find(&Pointer::metadata("commandId")).and_then(id).is_some_and(|id| is_uuid(&id));
        let own = Pointer::metadata("schemaVersion");
        let own = || Some(&own).filter(|_| is_own).and_then(|own| documents.find(own));
        let found = documents.first(&self.schema_version).or_else(own);
        let version = found.map(|found| version(found).ok_or("its schema version is not a version"));
        let found = self.time.iter().find_map(|it| Some((documents.find(&it.pointer)?, it.unit)));
        let time = found.map(|(found, unit)| time(found, unit).ok_or("its time is not a time with a zone"));
        Ok(Metadata {
            version: version.transpose()?,
            time: time.transpose()?,
            correlation_id: documents.first(&self.correlation_id).and_then(id),
            causation_id: documents.first(&self.causation_id).and_then(id),
            traceparent: trace_context(&self.trace_context, documents),
        })
    }
}

/// In any of the usual forms: hyphenated or not, in braces or as a URN.
fn is_uuid(text: &str) -> bool {
    let is_braced = text.len() == 38 && text.starts_with('{') && text.ends_with('}');
    let text = if is_braced { &text[1..37] } else { text.strip_prefix("urn:uuid:").unwrap_or(text) };
    let is_hyphen = |n: usize| matches!(n, 8 | 13 | 18 | 23);
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    match text.len() {
        32 => text.bytes().all(is_digit),
        36 => {
            text.bytes().enumerate().all(|(n, byte)| if is_hyphen(n) { byte == b'-' } else { is_digit(byte) })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Json;

    fn read_by(mapping: serde_json::Value, metadata: &str, data: &str) -> Result<Metadata, String> {
        let mapping: MetadataMapping = serde_json::from_value(mapping).unwrap();
        let (metadata, data) = (Json::parse(metadata.as_bytes()), Json::parse(data.as_bytes()));
        mapping.complete().read(Documents { metadata: metadata.as_ref(), data: data.as_ref() })
    }

    fn read(metadata: &str) -> Result<Metadata, String> {
        read_by(json!({}), metadata, "{}")
    }

    #[test]
    fn nothing_is_mandatory() {
        for none in ["", "null", "[1]", "{", "{}", r#"{"schemaVersion": null}"#] {
            assert_eq!(read(none), Ok(Metadata::default()), "{none}");
        }
    }

    #[test]
    fn what_is_given_is_read() {
        let found = read(
            r#"{"schemaVersion": "2", "timestamp": "2010-12-01T08:26:00+01:00", "$correlationId": 7.50,
                "$causationId": "a", "$traceId": "0AF7651916cd43dd8448eb211c80319c", "$spanId": "b7ad6b7169203331"}"#,
        )
        .unwrap();
        let expected = Metadata {
            version: Some(2),
            time: Some("2010-12-01T07:26:00Z".parse().unwrap()),
            correlation_id: Some("7.50".to_owned()),
            causation_id: Some("a".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        assert_eq!(found, expected);
        assert_eq!(read(r#"{"$traceId": "0af7"}"#).unwrap().traceparent, None);
        assert!(read(r#"{"schemaVersion": 0}"#).unwrap_err().contains("schema version"));
        assert!(read(r#"{"timestamp": "2010-12-01"}"#).unwrap_err().contains("not a time"));
        let long =
            format!(r#"{{"$causationId": "{}", "$correlationId": "", "traceparent": 1}}"#, "a".repeat(1025));
        assert_eq!(read(&long), Ok(Metadata::default()));
    }

    #[test]
    fn the_first_place_with_a_value_counts() {
        let mapping = || {
            json!({"schema_version": ["metadata:/v", "data:/v"], "time": [{"pointer": "data:/at", "unit": "seconds"}],
                "trace_context": [{"trace_id": "data:/t", "span_id": "data:/s"}, "data:/tp"]})
        };
        let found =
            read_by(mapping(), r#"{"schemaVersion": 9, "v": null}"#, r#"{"v": 3.0, "at": "1"}"#).unwrap();
        assert_eq!((found.version, found.time), (Some(3), Some("1970-01-01T00:00:01Z".parse().unwrap())));
        assert!(read_by(mapping(), r#"{"v": {}}"#, r#"{"v": 3}"#).is_err());
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let found = read_by(mapping(), "", &format!(r#"{{"t": 1, "s": 2, "tp": "{text}"}}"#)).unwrap();
        assert_eq!(found.traceparent.as_deref(), Some(text));
    }

    #[test]
    fn without_built_in_places_only_own_events_keep_their_version() {
        let off = || json!({"built_in": false});
        assert_eq!(read_by(off(), r#"{"schemaVersion": 3, "timestamp": 1}"#, "{}"), Ok(Metadata::default()));
        for id in ["00000000-0000-0000-0000-000000000003", "urn:uuid:00000000-0000-0000-0000-00000000000a"] {
            let own = format!(r#"{{"schemaVersion": 3, "commandId": "{id}"}}"#);
            assert_eq!(read_by(off(), &own, "{}").unwrap().version, Some(3), "{id}");
        }
    }
}
