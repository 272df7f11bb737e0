use aqueduct_avro::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Refusal;

/// A schema as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) schema: String,
    #[serde(rename = "schemaType", default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<Reference>,
}

/// A reference to the subject and version that define a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: u32,
}

/// Clients also send `null`.
fn or_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Reference>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The identity of a schema: its normalized JSON, and its references.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    text: String,
    references: Vec<Reference>,
}

impl Sent {
    pub(super) fn identity(&self) -> Result<Identity, Refusal> {
        if let Some(kind) = self.kind.as_deref().filter(|kind| *kind != "AVRO") {
            return Err(Refusal::InvalidSchema(format!(
                "the schema type {kind} is not supported, only AVRO is"
            )));
        }
        let value: Value =
            serde_json::from_str(&self.schema).map_err(|error| Refusal::InvalidSchema(error.to_string()))?;
        let mut references = self.references.clone();
        references.sort();
        Ok(Identity { text: in_order(value).to_string(), references })
    }

    /// Parses the schema; `referred` are the texts of all schemas it refers to, directly or not.
    pub(super) fn parse(&self, referred: &[String]) -> Result<Schema, Refusal> {
        Schema::parse_with(&self.schema, referred).map_err(|error| Refusal::InvalidSchema(error.to_string()))
    }
}

/// The same JSON with the keys of every object in alphabetical order, whatever order the map type keeps.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key, in_order(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_order).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(schema: &str) -> Sent {
        Sent { schema: schema.to_owned(), kind: None, references: Vec::new() }
    }

    #[test]
    fn spelling_does_not_matter_but_content_does() {
        let one = sent(r#"{"type":"record","name":"A","fields":[]}"#).identity().unwrap();
        assert_eq!(one, sent(" { \"name\":\"A\", \"fields\":[],\"type\":\"record\"}").identity().unwrap());
        assert_ne!(one, sent(r#"{"type":"record","name":"A","fields":[],"doc":"x"}"#).identity().unwrap());
        let text = r#"{"schema":"\"A\"","references":[{"name":"A","subject":"a","version":1}]}"#;
        let with_reference: Sent = serde_json::from_str(text).unwrap();
        assert_ne!(with_reference.identity().unwrap(), sent("\"A\"").identity().unwrap());
    }

    #[test]
    fn what_is_not_avro_is_refused() {
        let json = Sent { kind: Some("JSON".to_owned()), ..sent("{}") };
        assert!(matches!(json.identity(), Err(Refusal::InvalidSchema(_))));
        assert!(matches!(sent("{").identity(), Err(Refusal::InvalidSchema(_))));
        assert!(matches!(sent("\"no such type\"").parse(&[]), Err(Refusal::InvalidSchema(_))));
    }
}
