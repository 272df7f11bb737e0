//! What a schema file says that Avro or this product would silently ignore.

use std::collections::HashSet;

use aqueduct_avro::{Field, Schema, Type};
use serde_json::{Map, Value};

use crate::layout::invalid::InvalidSchema;
use crate::load::attributes::{KEEPS_UNKNOWN, RULE, STORED_NAMES, UNKNOWN_FIELDS};

const LOGICAL_TYPE: &str = "logicalType";

/// Where an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    Record,
    OtherType,
}

/// The attributes that mean something, and where they belong.
const MEANINGFUL: [(&str, &[Place], &str); 5] = [
    (RULE, &[Place::Field], "on a field"),
    (STORED_NAMES, &[Place::Field], "on a field"),
    (KEEPS_UNKNOWN, &[Place::Field], "on a field"),
    (UNKNOWN_FIELDS, &[Place::Record], "on a record"),
    // On a record it has no effect either, but there the type is the mistake.
    (
        LOGICAL_TYPE,
        &[Place::Record, Place::OtherType],
        "within the field's type, {\"type\": {\"type\": …, \"logicalType\": …}}",
    ),
];

/// Refuses attributes that have no effect where they are, those that are probably misspelt, and logical types that Avro ignores.
pub(crate) fn check(schema: &Schema) -> Result<(), InvalidSchema> {
    let mut open = vec![(schema.root(), "the schema".to_owned())];
    let mut seen = HashSet::new();
    while let Some((id, place)) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let of = schema.get(id);
        let place = of.name().map_or(place, |name| format!("{} {name}", of.kind()));
        let kind = if matches!(of, Type::Record(_)) { Place::Record } else { Place::OtherType };
        check_attributes(schema.attributes(id), kind, &place)?;
        check_logical_type(of, schema.attributes(id), &place)?;
        match of {
            Type::Array(part) | Type::Map(part) => open.push((*part, place)),
            Type::Union(branches) => {
                open.extend(branches.iter().rev().map(|branch| (*branch, place.clone())));
            }
            Type::Record(record) => {
                for Field { name, field_type, attributes, .. } in record.fields.iter().rev() {
                    let place = format!("field {name} of {}", record.name);
                    check_attributes(attributes, Place::Field, &place)?;
                    open.push((*field_type, place));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_attributes(attributes: &Map<String, Value>, here: Place, place: &str) -> Result<(), InvalidSchema> {
    for name in attributes.keys() {
        let problem = match MEANINGFUL.iter().find(|(meant, ..)| meant == name) {
            Some((_, places, _)) if places.contains(&here) => continue,
            Some((_, _, belongs)) => {
                format!("its attribute {name:?} has no effect here: it must be {belongs}")
            }
            None => match MEANINGFUL.iter().find(|(meant, ..)| resembles(name, meant)) {
                Some((meant, ..)) => format!(
                    "its attribute {name:?} has no meaning: write {meant:?}, or give it a name that is less like it"
                ),
                None => continue,
            },
        };
        return Err(InvalidSchema::new(place, problem));
    }
    Ok(())
}

/// Whether an attribute is probably a misspelt one: in other case, with separators, or with a letter or two wrong.
fn resembles(name: &str, meant: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_lowercase();
    // Of a word as short as `json`, two wrong letters make many others.
    let wrong_letters = if meant.len() > 4 { 2 } else { 1 };
    strsim::osa_distance(&plain(name), &plain(meant)) <= wrong_letters
}

fn check_logical_type(of: &Type, attributes: &Map<String, Value>, place: &str) -> Result<(), InvalidSchema> {
    let Some(named) = attributes.get(LOGICAL_TYPE) else { return Ok(()) };
    let taken = match of {
        Type::Int(logical) | Type::Long(logical) | Type::Bytes(logical) | Type::String(logical) => *logical,
        Type::Fixed(fixed) => fixed.logical,
        _ => None,
    };
    match taken {
        Some(_) => Ok(()),
        None => Err(InvalidSchema::new(place, why_ignored(of, named, attributes))),
    }
}

/// Why Avro ignores a logical type.
fn why_ignored(of: &Type, named: &Value, attributes: &Map<String, Value>) -> String {
    let name = named.as_str().unwrap_or_default();
    let carriers: &[&str] = match name {
        "decimal" => &["bytes", "fixed"],
        "big-decimal" => &["bytes"],
        "uuid" => &["string", "fixed"],
        "duration" => &["fixed"],
        "date" | "time-millis" => &["int"],
        "time-micros"
        | "timestamp-millis"
        | "timestamp-micros"
        | "timestamp-nanos"
        | "local-timestamp-millis"
        | "local-timestamp-micros"
        | "local-timestamp-nanos" => &["long"],
        _ => return format!("the logicalType {named} is not one of Avro's"),
    };
    if !carriers.contains(&of.kind()) {
        return format!(
            "the logicalType {name} is on {}, but must be on {}",
            of.kind(),
            carriers.join(" or ")
        );
    }
    match (name, of) {
        ("decimal", Type::Fixed(fixed)) => {
            let precision = attributes.get("precision").and_then(Value::as_u64).unwrap_or(0);
            let digits = digits(fixed.size);
            if precision > digits {
                let size = fixed.size;
                return format!(
                    "a fixed of {size} bytes holds decimals of at most {digits} digits, not {precision}: lower the \
                     precision, or use a larger fixed or bytes"
                );
            }
            "the logicalType decimal needs a precision above zero, and a scale of at most that".to_owned()
        }
        ("decimal", _) => {
            "the logicalType decimal needs a precision above zero, and a scale of at most that".to_owned()
        }
        ("duration", _) => "the logicalType duration needs a fixed of the size 12".to_owned(),
        _ => format!("the logicalType {name} on fixed needs the size 16"),
    }
}

/// How many decimal digits a signed number of so many bytes holds.
fn digits(size: usize) -> u64 {
    let bits = (size as f64 * 8.0 - 1.0).max(0.0);
    (bits * std::f64::consts::LOG10_2) as u64
}
