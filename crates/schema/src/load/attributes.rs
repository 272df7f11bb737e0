//! The attributes of this product in schema files: read, checked, and removed before a schema is registered.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::layout::invalid::InvalidSchema;
use crate::layout::shape::Shape;
use crate::layout::types::{Field, Record, UnknownFields};

/// On a field: the rule that makes it from an older version.
pub(crate) const RULE: &str = "upcast";
/// On a field: the name or the names that it has in JSON.
pub(crate) const STORED_NAMES: &str = "json";
/// On a record: what happens to fields that the schema does not have.
pub(crate) const UNKNOWN_FIELDS: &str = "unknownFields";
/// On a field: it holds the fields that the schema does not have.
pub(crate) const KEEPS_UNKNOWN: &str = "keepsUnknownFields";

/// The field's upcast rule.
pub(crate) fn rule(field: &aqueduct_avro::Field, place: &str) -> Result<Option<String>, InvalidSchema> {
    match field.attributes.get(RULE) {
        None => Ok(None),
        Some(Value::String(rule)) => Ok(Some(rule.clone())),
        Some(_) => Err(InvalidSchema::new(place, "its upcast rule must be a string")),
    }
}

/// The names that the field has in JSON, the one that is written first.
pub(crate) fn stored_names(field: &aqueduct_avro::Field, place: &str) -> Result<Vec<String>, InvalidSchema> {
    let names = match field.attributes.get(STORED_NAMES) {
        None => return Ok(vec![field.name.clone()]),
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        Some(_) => Vec::new(),
    };
    let given = field.attributes.get(STORED_NAMES).and_then(Value::as_array).map_or(1, Vec::len);
    if names.is_empty() || names.len() != given {
        let problem = format!("its attribute {STORED_NAMES:?} must be a name or a list of names");
        return Err(InvalidSchema::new(place, problem));
    }
    Ok(names)
}

/// Whether the field holds the fields that the schema does not have.
pub(crate) fn keeps_unknown(
    field: &aqueduct_avro::Field,
    shape: &Shape,
    place: &str,
) -> Result<bool, InvalidSchema> {
    match field.attributes.get(KEEPS_UNKNOWN) {
        None | Some(Value::Bool(false)) => Ok(false),
        Some(Value::Bool(true)) if shape.is_map_of_string() => Ok(true),
        Some(Value::Bool(true)) => {
            let problem = format!("a field with {KEEPS_UNKNOWN:?} must be a map of string");
            Err(InvalidSchema::new(place, problem))
        }
        Some(_) => {
            Err(InvalidSchema::new(place, format!("its attribute {KEEPS_UNKNOWN:?} must be true or false")))
        }
    }
}

/// What happens to fields that the record does not have; as in the enclosing record where it does not say.
pub(crate) fn unknown_fields(
    attributes: &Map<String, Value>,
    enclosing: UnknownFields,
    place: &str,
) -> Result<UnknownFields, InvalidSchema> {
    match attributes.get(UNKNOWN_FIELDS).map(Value::as_str) {
        None => Ok(enclosing),
        Some(Some("error")) => Ok(UnknownFields::Error),
        Some(Some("drop")) => Ok(UnknownFields::Drop),
        Some(Some("keep")) => Ok(UnknownFields::Keep),
        Some(_) => {
            let problem = format!("its attribute {UNKNOWN_FIELDS:?} must be \"error\", \"drop\" or \"keep\"");
            Err(InvalidSchema::new(place, problem))
        }
    }
}

/// Maps each stored name to its field; no two fields may have one in common.
pub(crate) fn fields_by_stored_name(
    fields: &[Field],
    record: &str,
) -> Result<HashMap<String, usize>, InvalidSchema> {
    let mut names: HashMap<String, usize> = HashMap::new();
    for (position, field) in fields.iter().enumerate() {
        for name in &field.stored_names {
            if let Some(other) = names.insert(name.clone(), position) {
                let problem = if other == position {
                    format!("field {} has the stored name {name:?} twice", field.name)
                } else {
                    let (one, other) = (&fields[other].name, &field.name);
                    format!("fields {one} and {other} both have the stored name {name:?}")
                };
                return Err(InvalidSchema::new(&format!("record {record}"), problem));
            }
        }
    }
    Ok(names)
}

/// Checks that exactly the records that keep unknown fields have one field to hold them.
pub(crate) fn check_keeper(record: &Record) -> Result<(), InvalidSchema> {
    let place = format!("record {}", record.name.full);
    let keepers = record.fields.iter().filter(|field| field.keeps_unknown);
    let keepers: Vec<_> = keepers.map(|field| field.name.as_str()).collect();
    match (record.unknown_fields, keepers.as_slice()) {
        (UnknownFields::Keep, [_]) | (UnknownFields::Error | UnknownFields::Drop, []) => Ok(()),
        (UnknownFields::Keep, []) => {
            let problem = format!(
                "keeps unknown fields but has no field to hold them: add a map of string with \
                 \"{KEEPS_UNKNOWN}\": true, or set \"{UNKNOWN_FIELDS}\" to \"drop\" or \"error\""
            );
            Err(InvalidSchema::new(&place, problem))
        }
        (_, [one, other, ..]) => {
            let problem = format!("both {one} and {other} are marked {KEEPS_UNKNOWN:?}: one is enough");
            Err(InvalidSchema::new(&place, problem))
        }
        (_, [one]) => {
            let problem = format!(
                "field {one} is marked {KEEPS_UNKNOWN:?}, but the record does not keep unknown fields: set \
                 \"{UNKNOWN_FIELDS}\" to \"keep\""
            );
            Err(InvalidSchema::new(&place, problem))
        }
    }
}

/// Removes the attributes of this product, which no consumer needs.
pub(crate) fn strip(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(object) => {
            object.remove(UNKNOWN_FIELDS);
            if let Some(Value::Array(fields)) = object.get_mut("fields") {
                for field in fields.iter_mut().filter_map(Value::as_object_mut) {
                    for attribute in [RULE, STORED_NAMES, KEEPS_UNKNOWN] {
                        field.remove(attribute);
                    }
                }
            }
            // A default is data, whatever its keys are.
            object.iter_mut().filter(|(key, _)| *key != "default").for_each(|(_, value)| strip(value));
        }
        _ => {}
    }
}
