//! Rust types of the latest versions, in the plain mapping.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::layout::shape::{Enum, Shape};
use crate::layout::types::{Field, Layout, Record};
use crate::set::SchemaSet;

/// Digits that a `rust_decimal::Decimal` always holds.
const RUST_DECIMAL_DIGITS: usize = 28;

/// One Rust file with a struct or enum for each type of every event's latest version, to be committed. The
/// types (de)serialise the plain mapping with serde. Types of one full name in several events are written
/// once; it is an error if they differ, or if two full names share a simple name.
pub fn generate(set: &SchemaSet) -> Result<String, GenerateError> {
    let mut types: BTreeMap<String, Generated> = BTreeMap::new();
    for event in set.events() {
        let layout = &event.last().layout;
        for record in &layout.records {
            let text = struct_text(layout, record)?;
            add(&mut types, &record.name.full, &event.event_type, text)?;
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
    /// Two types would have the same Rust name.
    #[error("{event_type}: the type {full_name} has another definition in {other}: rename one of them")]
    Conflict {
        /// The event type that was generated later.
        event_type: String,
        /// The type's full name in it.
        full_name: String,
        /// The event type that was generated before.
        other: String,
    },
    /// A union of more than null and one type has no Rust type.
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

fn struct_text(layout: &Layout, record: &Record) -> Result<String, GenerateError> {
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
        text.push_str(&field_text(layout, record, field)?);
    }
    text.push_str("}\n");
    Ok(text)
}

fn field_text(layout: &Layout, record: &Record, field: &Field) -> Result<String, GenerateError> {
    let place = || format!("field {} of {}", field.name, record.name.full);
    let mut text = doc("    ", field.doc.as_deref(), &field.name);
    let name = snake_case(&field.name);
    let stored = field.stored_names.first().unwrap_or(&field.name);
    if name != *stored {
        let _ = writeln!(text, "    #[serde(rename = {stored:?})]");
    }
    // Records in Kafka have the name of the schema.
    if *stored != field.name && !record.has_stored_name(&field.name) {
        let _ = writeln!(text, "    #[serde(alias = {:?})]", field.name);
    }
    let of = rust_type(layout, &field.shape).ok_or_else(|| GenerateError::Union { place: place() })?;
    let _ = writeln!(text, "    pub {name}: {of},");
    Ok(text)
}

fn enum_text(an_enum: &Enum) -> String {
    let mut text = doc("", an_enum.doc.as_deref(), &an_enum.name.full);
    text.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]\n");
    let _ = writeln!(text, "pub enum {} {{", type_name(&an_enum.name.full));
    for symbol in &an_enum.symbols {
        let variant = camel_case(symbol);
        let _ = writeln!(text, "    /// `{symbol}`.");
        if variant != *symbol {
            let _ = writeln!(text, "    #[serde(rename = {symbol:?})]");
        }
        let _ = writeln!(text, "    {variant},");
    }
    text.push_str("}\n");
    text
}

/// `None` for a union that has no Rust type.
fn rust_type(layout: &Layout, shape: &Shape) -> Option<String> {
    Some(match shape {
        Shape::Null => "()".to_owned(),
        Shape::Boolean => "bool".to_owned(),
        Shape::Int => "i32".to_owned(),
        Shape::Long => "aqueduct_schema::plain::Long".to_owned(),
        Shape::Float | Shape::Double => "aqueduct_schema::plain::Double".to_owned(),
        Shape::Bytes | Shape::Fixed(_) => "aqueduct_schema::plain::Bytes".to_owned(),
        Shape::String => "String".to_owned(),
        Shape::Enum(an_enum) => type_name(&an_enum.name.full).to_owned(),
        Shape::Array(items) => format!("Vec<{}>", within_list(layout, items)?),
        Shape::Map(values) => {
            format!("std::collections::BTreeMap<String, {}>", within_list(layout, values)?)
        }
        Shape::Record(index) => {
            let name = type_name(&layout.records[*index].name.full);
            if holds(layout, *index, *index, &mut Vec::new()) {
                format!("Box<{name}>")
            } else {
                name.to_owned()
            }
        }
        Shape::Union(union) => {
            let other = match union.branches.as_slice() {
                [Shape::Null, other] | [other, Shape::Null] => other,
                _ => return None,
            };
            format!("Option<{}>", rust_type(layout, other)?)
        }
        Shape::Decimal(decimal) if decimal.precision <= RUST_DECIMAL_DIGITS => {
            "rust_decimal::Decimal".to_owned()
        }
        Shape::Decimal(_) => "String".to_owned(),
        Shape::Uuid(_) => "uuid::Uuid".to_owned(),
        Shape::Date => "jiff::civil::Date".to_owned(),
        Shape::TimeOfDay(_) => "jiff::civil::Time".to_owned(),
        Shape::Timestamp(_) => "jiff::Timestamp".to_owned(),
        Shape::LocalTimestamp(_) => "jiff::civil::DateTime".to_owned(),
    })
}

/// A record needs no box there: the list is on the heap already.
fn within_list(layout: &Layout, shape: &Shape) -> Option<String> {
    match shape {
        Shape::Record(index) => Some(type_name(&layout.records[*index].name.full).to_owned()),
        shape => rust_type(layout, shape),
    }
}

/// Whether a value of one record holds one of the other directly, without a list between: such a type needs
/// a box.
fn holds(layout: &Layout, outer: usize, inner: usize, seen: &mut Vec<usize>) -> bool {
    if seen.contains(&outer) {
        return false;
    }
    seen.push(outer);
    layout.records[outer].fields.iter().any(|field| {
        let branches = match &field.shape {
            Shape::Union(union) => union.branches.as_slice(),
            shape => std::slice::from_ref(shape),
        };
        branches.iter().any(|branch| match branch {
            Shape::Record(index) => *index == inner || holds(layout, *index, inner, seen),
            _ => false,
        })
    })
}

fn enums_of<'s>(shape: &'s Shape, found: &mut Vec<&'s Enum>) {
    match shape {
        Shape::Enum(an_enum) => found.push(an_enum),
        Shape::Array(inner) | Shape::Map(inner) => enums_of(inner, found),
        Shape::Union(union) => union.branches.iter().for_each(|branch| enums_of(branch, found)),
        _ => {}
    }
}

/// The schema's documentation, else the name.
fn doc(indent: &str, doc: Option<&str>, name: &str) -> String {
    let mut text = String::new();
    for line in doc.unwrap_or(&format!("`{name}`.")).lines() {
        let _ = writeln!(text, "{indent}/// {line}");
    }
    text
}

/// The simple name in Rust's style.
fn type_name(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}

/// `unitPrice` to `unit_price`, `HTTPText` to `http_text`; a keyword gets an underscore, since serde renames it anyway.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut characters = name.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(character) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(char::is_ascii_lowercase);
        let starts_word = match before {
            Some(before) if before.is_ascii_lowercase() || before.is_ascii_digit() => true,
            Some(before) => before.is_ascii_uppercase() && next_is_lower,
            None => false,
        };
        if character.is_ascii_uppercase() && starts_word {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
        before = Some(character);
    }
    if KEYWORDS.contains(&snake.as_str()) {
        snake.push('_');
    }
    snake
}

/// `IN_TRANSIT` and `in_transit` to `InTransit`, `GBP` to `Gbp`; `InTransit` stays.
fn camel_case(symbol: &str) -> String {
    let upper_case = !symbol.chars().any(|character| character.is_ascii_lowercase());
    let mut camel = String::with_capacity(symbol.len());
    let mut first = true;
    for character in symbol.chars() {
        match character {
            '_' => first = true,
            _ if first => {
                camel.push(character.to_ascii_uppercase());
                first = false;
            }
            _ if upper_case => camel.push(character.to_ascii_lowercase()),
            _ => camel.push(character),
        }
    }
    if camel.starts_with(|first: char| !first.is_ascii_alphabetic()) {
        camel.insert(0, '_');
    }
    camel
}

const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];
