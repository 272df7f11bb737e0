//! Rust types of the latest versions, in the plain mapping.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::layout::{Enum, Field, Layout, Record, Shape};
use crate::set::SchemaSet;

/// Digits that a `rust_decimal::Decimal` always holds.
const RUST_DECIMAL_DIGITS: usize = 28;

/// One Rust file with a struct or enum for each type of every event's latest version, to be committed. The
/// types (de)serialise the plain mapping with serde. Types of one full name in several events are written
/// once; where they differ, or where two full names share a simple name, the error says so.
pub fn generate(set: &SchemaSet) -> Result<String, GenerateError> {
    let mut types: BTreeMap<String, Generated> = BTreeMap::new();
    for event in set.events() {
        let layout = &event.last().layout;
        for record in &layout.records {
            add(&mut types, &record.name.full, &event.event_type, a_struct(layout, record)?)?;
            for field in &record.fields {
                let mut enums = Vec::new();
                enums_of(&field.shape, &mut enums);
                for an_enum in enums {
                    add(&mut types, &an_enum.name.full, &event.event_type, enum_text(an_enum))?;
                }
            }
        }
    }
    let mut file = String::from(HEADER);
    for generated in types.values() {
        file.push('\n');
        file.push_str(&generated.text);
    }
    Ok(file)
}

const HEADER: &str = "\
// Written by `aqueduct schemas generate` from the schema files. Change those, not this.

//! The events in their latest versions, in the plain JSON mapping.

use serde::{Deserialize, Serialize};
";

/// Why no types can be written for a set.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// One Rust name would stand for two types.
    #[error("{event_type}: the type {full_name} is defined otherwise in {other}; rename one of them")]
    Conflict {
        /// The event type met second.
        event_type: String,
        /// The type's full name in it.
        full_name: String,
        /// The event type met first.
        other: String,
    },
    /// A union of more than null and one type has no counterpart.
    #[error("{place}: a union of more than null and one type has no Rust type; use a record with two fields")]
    Union {
        /// Record and field.
        place: String,
    },
}

struct Generated {
    event_type: String,
    text: String,
}

fn add(
    types: &mut BTreeMap<String, Generated>,
    full_name: &str,
    event_type: &str,
    text: String,
) -> Result<(), GenerateError> {
    let name = type_name(full_name).to_owned();
    match types.get(&name) {
        Some(known) if known.text == text => Ok(()),
        Some(known) => Err(GenerateError::Conflict {
            event_type: event_type.to_owned(),
            full_name: full_name.to_owned(),
            other: known.event_type.clone(),
        }),
        None => {
            types.insert(name, Generated { event_type: event_type.to_owned(), text });
            Ok(())
        }
    }
}

fn a_struct(layout: &Layout, record: &Record) -> Result<String, GenerateError> {
    let mut text = doc("", record.doc.as_deref(), &record.name.full);
    text.push_str("#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]\n");
    text.push_str("#[serde(deny_unknown_fields)]\n");
    let name = type_name(&record.name.full);
    if record.fields.is_empty() {
        let _ = writeln!(text, "pub struct {name} {{}}");
        return Ok(text);
    }
    let _ = writeln!(text, "pub struct {name} {{");
    for field in &record.fields {
        text.push_str(&a_field(layout, record, field)?);
    }
    text.push_str("}\n");
    Ok(text)
}

fn a_field(layout: &Layout, record: &Record, field: &Field) -> Result<String, GenerateError> {
    let place = || format!("field {} of {}", field.name, record.name.full);
    let mut text = doc("    ", field.doc.as_deref(), &field.name);
    let name = snake_case(&field.name);
    if name.trim_start_matches("r#") != field.name {
        let _ = writeln!(text, "    #[serde(rename = {:?})]", field.name);
    }
    if let Some(module) = serde_module(&field.shape) {
        let _ = writeln!(text, "    #[serde(with = \"aqueduct_schema::plain::{module}\")]");
    }
    let of = rust_type(layout, &field.shape).ok_or_else(|| GenerateError::Union { place: place() })?;
    let _ = writeln!(text, "    pub {name}: {of},");
    Ok(text)
}
