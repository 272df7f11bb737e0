//! What the metadata of an event says, read by the checker's own rules.

use jiff::Timestamp;
use serde_json::Value;

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

impl Metadata {
    /// Metadata that is empty or not a JSON object is none. `Err` says why the event can't have a record.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(bytes) else {
            return Ok(Self::default());
        };
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let version = given("schemaVersion").map(|value| {
            version(value).ok_or_else(|| format!("its schema version {value} is not a version"))
        });
        let time = given("timestamp").map(|value| {
            let text = value.as_str().and_then(|text| text.parse().ok());
            text.ok_or_else(|| format!("its timestamp {value} is not a time with a zone"))
        });
        let id = |name: &str| match given(name)? {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        };
        let pair = || Some(format!("00-{}-{}-01", id("$traceId")?, id("$spanId")?));
        Ok(Self {
            version: version.transpose()?,
            time: time.transpose()?,
            correlation_id: id("$correlationId"),
            causation_id: id("$causationId"),
            traceparent: id("traceparent").or_else(pair),
        })
    }
}

fn version(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
    .filter(|version| *version > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_mandatory() {
        for none in ["", "null", "[1]", "{", "{}", r#"{"schemaVersion": null}"#] {
            assert_eq!(Metadata::read(none.as_bytes()), Ok(Metadata::default()), "{none}");
        }
    }

    #[test]
    fn what_is_given_is_read() {
        let read = |text: &str| Metadata::read(text.as_bytes());
        let found = read(
            r#"{"schemaVersion": "2", "timestamp": "2010-12-01T08:26:00+01:00", "$correlationId": 7,
                "$causationId": "a", "$traceId": "0af7651916cd43dd8448eb211c80319c", "$spanId": "b7ad6b7169203331"}"#,
        )
        .unwrap();
        let expected = Metadata {
            version: Some(2),
            time: Some("2010-12-01T07:26:00Z".parse().unwrap()),
            correlation_id: Some("7".to_owned()),
            causation_id: Some("a".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        assert_eq!(found, expected);
        assert_eq!(read(r#"{"$traceId": "0af7"}"#).unwrap().traceparent, None);
        assert!(read(r#"{"schemaVersion": 0}"#).unwrap_err().contains("schema version 0"));
        assert!(read(r#"{"timestamp": "2010-12-01"}"#).unwrap_err().contains("not a time"));
    }
}
