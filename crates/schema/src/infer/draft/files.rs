//! Drafted files against those that exist.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A schema file as it was drafted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftFile {
    /// The context, a folder.
    pub context: String,
    /// The event type.
    pub event_type: String,
    /// The version.
    pub version: u32,
    /// Relative to the folder of the schemas: `orders/OrderPlaced/v1.avsc`.
    pub path: String,
    /// Its text.
    #[serde(skip)]
    pub text: String,
    /// What it is beside the file that exists.
    pub state: FileState,
}

/// A drafted file beside the one that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// There is none: it can be written.
    New,
    /// It means the same.
    Same,
    /// It means something else. It is never overwritten.
    Differs {
        /// What differs, by field.
        changes: Vec<Change>,
    },
}

/// A difference between the file that exists and the draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where: `OrderPlaced.lines.unitPrice`.
    pub path: String,
    /// The schema that exists; `None` where only the draft has the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
    /// The drafted schema; `None` where only the existing file has the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drafted: Option<String>,
}

impl DraftFile {
    pub(in crate::infer) fn new(
        context: &str,
        event_type: &str,
        version: u32,
        text: String,
        state: FileState,
    ) -> Self {
        let path = format!("{context}/{event_type}/v{version}.avsc");
        Self { context: context.to_owned(), event_type: event_type.to_owned(), version, path, text, state }
    }
}

impl fmt::Display for DraftFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            FileState::New => write!(f, "{}: new", self.path),
            FileState::Same => write!(f, "{}: unchanged", self.path),
            FileState::Differs { changes } => {
                write!(f, "{}: exists and is kept; the events say otherwise:", self.path)?;
                changes.iter().try_for_each(|change| write!(f, "\n  {change}"))
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.existing, &self.drafted) {
            (Some(existing), Some(drafted)) => write!(f, "{path}: {existing} would be {drafted}"),
            (None, Some(drafted)) => write!(f, "{path}: {drafted} would be added"),
            (Some(existing), None) => write!(f, "{path}: {existing} was not met"),
            (None, None) => write!(f, "{path}: differs"),
        }
    }
}

/// Compares the draft with the text of the file that exists. Documentation, rules, aliases and the order of fields
/// are a person's work and no difference.
pub(in crate::infer) fn compare(existing: Option<&str>, drafted: &str) -> FileState {
    let Some(existing) = existing else { return FileState::New };
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(existing), Some(drafted)) = (parsed(existing), parsed(drafted)) else {
        let change = Change { path: "the file".to_owned(), existing: None, drafted: None };
        return FileState::Differs { changes: vec![change] };
    };
    let mut changes = Vec::new();
    let name = drafted["name"].as_str().unwrap_or_default().to_owned();
    differences(&name, &existing, &drafted, &mut changes);
    if changes.is_empty() { FileState::Same } else { FileState::Differs { changes } }
}

fn differences(path: &str, existing: &Value, drafted: &Value, changes: &mut Vec<Change>) {
    if let (Some(old), Some(new)) = (existing["fields"].as_array(), drafted["fields"].as_array()) {
        return field_differences(path, old, new, changes);
    }
    match (existing, drafted) {
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (old, new) in old.iter().zip(new) {
                differences(path, old, new, changes);
            }
        }
        (Value::Object(old), Value::Object(new)) if old.get("type") == new.get("type") && nests(old) => {
            for inner in ["items", "values"] {
                differences(path, &existing[inner], &drafted[inner], changes);
            }
        }
        _ if plain(existing) == plain(drafted) => {}
        _ => changes.push(Change {
            path: path.to_owned(),
            existing: Some(plain(existing).to_string()),
            drafted: Some(plain(drafted).to_string()),
        }),
    }
}

fn nests(schema: &serde_json::Map<String, Value>) -> bool {
    schema.contains_key("items") || schema.contains_key("values")
}

fn field_differences(path: &str, old: &[Value], new: &[Value], changes: &mut Vec<Change>) {
    let named = |fields: &[Value], name: &Value| fields.iter().find(|field| field["name"] == *name).cloned();
    let below = |field: &Value| format!("{path}.{}", field["name"].as_str().unwrap_or_default());
    for field in new {
        match named(old, &field["name"]) {
            Some(known) => {
                differences(&below(field), &known["type"], &field["type"], changes);
                if known["json"] != field["json"] {
                    changes.push(Change {
                        path: format!("{} (json)", below(field)),
                        existing: Some(known["json"].to_string()),
                        drafted: Some(field["json"].to_string()),
                    });
                }
            }
            None => changes.push(Change {
                path: below(field),
                existing: None,
                drafted: Some(plain(&field["type"]).to_string()),
            }),
        }
    }
    for field in old.iter().filter(|field| named(new, &field["name"]).is_none()) {
        changes.push(Change {
            path: below(field),
            existing: Some(plain(&field["type"]).to_string()),
            drafted: None,
        });
    }
}

/// A schema without what does not change its meaning.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(object) => {
            let kept = object
                .iter()
                .filter(|(key, _)| !matches!(&***key, "doc" | "aliases" | "upcast" | "namespace"));
            kept.map(|(key, value)| (key.clone(), plain(value))).collect()
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXISTING: &str = r#"{"type": "record", "name": "E", "namespace": "a", "doc": "An event.", "fields": [
        {"name": "b", "type": ["null", "long"], "default": null},
        {"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "EA", "fields": [
            {"name": "x", "type": "long"}]}}}]}"#;

    fn changes(drafted: &str) -> Vec<String> {
        match compare(Some(EXISTING), drafted) {
            FileState::Differs { changes } => changes.iter().map(ToString::to_string).collect(),
            state => panic!("{state:?}"),
        }
    }

    #[test]
    fn order_and_documentation_are_no_change() {
        let drafted = r#"{"type": "record", "name": "E", "namespace": "b", "fields": [
            {"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "EA", "fields": [
                {"name": "x", "type": "long"}]}}},
            {"name": "b", "type": ["null", "long"], "default": null}]}"#;
        assert_eq!(compare(Some(EXISTING), drafted), FileState::Same);
        assert_eq!(compare(None, drafted), FileState::New);
    }

    #[test]
    fn only_what_changed_is_told() {
        let drafted = r#"{"type": "record", "name": "E", "fields": [
            {"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "EA", "fields": [
                {"name": "x", "type": "string"}, {"name": "y", "type": "long"}]}}}]}"#;
        let expected = [
            "E.a.x: \"long\" would be \"string\"",
            "E.a.y: \"long\" would be added",
            "E.b: [\"null\",\"long\"] was not met",
        ];
        assert_eq!(changes(drafted), expected);
    }

    #[test]
    fn a_file_that_is_not_json_differs() {
        assert!(matches!(compare(Some("{"), EXISTING), FileState::Differs { .. }));
    }
}
