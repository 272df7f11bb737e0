//! Schemas as a registry has them.

use aqueduct_avro::Schema;
use serde_json::Value;

use crate::layout::types::Layout;
use crate::load::compile::{Origin, compile};

/// A schema that values are written with, or read as.
#[derive(Debug)]
pub(crate) struct RegisteredSchema {
    pub(crate) avro: Schema,
    pub(crate) layout: Layout,
    pub(crate) json: Value,
}

impl RegisteredSchema {
    /// An error says why the schema cannot be used.
    pub(crate) fn parse(text: &str, origin: Origin) -> Result<Self, String> {
        let avro = match origin {
            Origin::Writer => Schema::parse_writer(text),
            Origin::File | Origin::Reader => Schema::parse(text),
        };
        let avro = avro.map_err(|error| error.to_string())?;
        let json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let layout = compile(&avro, origin).map_err(|refusal| refusal.to_string())?;
        Ok(Self { avro, layout, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_needs_defaults_that_fit() {
        let text =
            r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": null}]}"#;
        RegisteredSchema::parse(text, Origin::Writer).unwrap();
        let refused = RegisteredSchema::parse(text, Origin::Reader).unwrap_err();
        assert_eq!(refused, "/fields/0/default: the default is not a int");
    }

    /// As Avro takes it: a fixed.
    #[test]
    fn logical_types_that_avro_ignores_have_no_meaning() {
        let text = r#"{"type": "record", "name": "R", "upcast": 1, "fields": [{"name": "a", "json": 2, "type":
            {"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 9}}]}"#;
        let schema = RegisteredSchema::parse(text, Origin::Writer).unwrap();
        assert_eq!(schema.layout.event().fields[0].shape.describe(), "fixed F");
    }
}
