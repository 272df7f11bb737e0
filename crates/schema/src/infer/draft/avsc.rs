//! A draft as the text of a `.avsc` file.

use serde::Serialize;
use serde_json::{Value, json};

use super::types::{DraftField, DraftRecord, DraftType, Slot};

// Structs, not maps: keys are written in this order.
#[derive(Serialize)]
struct RecordSchema<'d> {
    r#type: &'static str,
    name: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'d str>,
    fields: Vec<FieldSchema<'d>>,
}

#[derive(Serialize)]
struct FieldSchema<'d> {
    name: &'d str,
    r#type: TypeSchema<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
}

#[derive(Serialize)]
struct LogicalSchema {
    r#type: &'static str,
    #[serde(rename = "logicalType")]
    logical_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<u32>,
}

#[derive(Serialize)]
struct EnumSchema<'d> {
    r#type: &'static str,
    name: &'d str,
    symbols: &'d [String],
}

#[derive(Serialize)]
struct ArraySchema<'d> {
    r#type: &'static str,
    items: Box<TypeSchema<'d>>,
}

#[derive(Serialize)]
struct MapSchema<'d> {
    r#type: &'static str,
    values: Box<TypeSchema<'d>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TypeSchema<'d> {
    Name(&'static str),
    Logical(LogicalSchema),
    Enum(EnumSchema<'d>),
    Array(ArraySchema<'d>),
    Map(MapSchema<'d>),
    Record(RecordSchema<'d>),
    Union(Vec<TypeSchema<'d>>),
}

/// The namespace of the record in a schema's text; empty where it has none.
pub(in crate::infer) fn namespace_of(text: &str) -> String {
    let schema: Value = serde_json::from_str(text).unwrap_or_default();
    let name = schema["name"].as_str().unwrap_or_default();
    let namespace = name.rsplit_once('.').map(|(namespace, _)| namespace);
    namespace.or(schema["namespace"].as_str()).unwrap_or_default().to_owned()
}

/// The text of the file, with a line feed at its end.
pub(in crate::infer) fn schema_text(record: &DraftRecord, namespace: &str) -> String {
    let schema = record_schema(record, Some(namespace).filter(|namespace| !namespace.is_empty()));
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn record_schema<'d>(record: &'d DraftRecord, namespace: Option<&'d str>) -> RecordSchema<'d> {
    let fields = record.fields.iter().map(field_schema).collect();
    RecordSchema { r#type: "record", name: &record.name, namespace, fields }
}

fn field_schema(field: &DraftField) -> FieldSchema<'_> {
    let json = match &field.stored[..] {
        [one] if *one == field.name => None,
        [one] => Some(Value::from(one.as_str())),
        several => Some(json!(several)),
    };
    FieldSchema {
        name: &field.name,
        r#type: slot_schema(&field.slot),
        default: field.slot.nullable.then_some(Value::Null),
        json,
    }
}

fn slot_schema(slot: &Slot) -> TypeSchema<'_> {
    let of = type_schema(&slot.of);
    match (slot.nullable, of) {
        (false, of) => of,
        (true, TypeSchema::Union(kinds)) => {
            TypeSchema::Union(std::iter::once(TypeSchema::Name("null")).chain(kinds).collect())
        }
        (true, of) => TypeSchema::Union(vec![TypeSchema::Name("null"), of]),
    }
}

fn logical(r#type: &'static str, logical_type: &'static str) -> TypeSchema<'static> {
    TypeSchema::Logical(LogicalSchema { r#type, logical_type, precision: None, scale: None })
}

fn type_schema(of: &DraftType) -> TypeSchema<'_> {
    match of {
        DraftType::Boolean => TypeSchema::Name("boolean"),
        DraftType::Long => TypeSchema::Name("long"),
        DraftType::Double => TypeSchema::Name("double"),
        DraftType::Text => TypeSchema::Name("string"),
        DraftType::Decimal { precision, scale } => TypeSchema::Logical(LogicalSchema {
            r#type: "bytes",
            logical_type: "decimal",
            precision: Some(*precision),
            scale: Some(*scale),
        }),
        DraftType::Uuid => logical("string", "uuid"),
        DraftType::Date => logical("int", "date"),
        DraftType::Timestamp(unit) => logical("long", unit.logical_type()),
        DraftType::Enum { name, symbols } => TypeSchema::Enum(EnumSchema { r#type: "enum", name, symbols }),
        DraftType::Array(items) => {
            TypeSchema::Array(ArraySchema { r#type: "array", items: Box::new(slot_schema(items)) })
        }
        DraftType::Map(values) => {
            TypeSchema::Map(MapSchema { r#type: "map", values: Box::new(slot_schema(values)) })
        }
        DraftType::Record(record) => TypeSchema::Record(record_schema(record, None)),
        DraftType::Union(kinds) => TypeSchema::Union(kinds.iter().map(type_schema).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::draft::Unit;

    fn field(name: &str, stored: &[&str], nullable: bool, of: DraftType) -> DraftField {
        let stored = stored.iter().map(|key| (*key).to_owned()).collect();
        DraftField { name: name.to_owned(), stored, slot: Slot { nullable, of } }
    }

    #[test]
    fn a_record_is_written_with_its_stored_names() {
        let price = DraftType::Decimal { precision: 18, scale: 4 };
        let record = DraftRecord {
            name: "OrderPlaced".to_owned(),
            fields: vec![
                field("type", &["$type"], true, DraftType::Text),
                field("orderId", &["orderId", "OrderId"], false, DraftType::Uuid),
                field("price", &["price"], false, price),
                field("at", &["at"], true, DraftType::Timestamp(Unit::Millis)),
                field(
                    "carrier",
                    &["carrier"],
                    true,
                    DraftType::Union(vec![DraftType::Long, DraftType::Text]),
                ),
            ],
        };
        let text = schema_text(&record, "acme.orders");
        let json: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"type": "record", "name": "OrderPlaced", "namespace": "acme.orders", "fields": [
            {"name": "type", "type": ["null", "string"], "default": null, "json": "$type"},
            {"name": "orderId", "type": {"type": "string", "logicalType": "uuid"}, "json": ["orderId", "OrderId"]},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}},
            {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null},
            {"name": "carrier", "type": ["null", "long", "string"], "default": null},
        ]});
        assert_eq!(json, expected);
        assert!(text.starts_with("{\n  \"type\": \"record\",\n  \"name\": \"OrderPlaced\",\n"), "{text}");
        assert!(text.ends_with("}\n"));
    }
}
