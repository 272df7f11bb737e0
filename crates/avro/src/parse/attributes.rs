//! The attributes of a type.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::logical::{Carrier, LogicalType};
use crate::name::{Name, validate};
use crate::parse::Problem;
use crate::schema::{Enum, Fixed, Type};

/// The largest fixed: as in the reference, the longest array of the JVM.
pub(super) const LARGEST_FIXED: u64 = 2_147_483_639;

/// An attribute that must be a text.
pub(super) fn text<'a>(attributes: &'a Map<String, Json>, name: &'static str) -> Result<&'a str, Problem> {
    attributes.get(name).and_then(Json::as_str).ok_or(Problem::Attribute(name, "text"))
}

/// The aliases of a type or a field, as they are written.
pub(super) fn aliases(attributes: &Map<String, Json>) -> Result<Vec<&str>, Problem> {
    let Some(aliases) = attributes.get("aliases") else { return Ok(Vec::new()) };
    let texts = aliases.as_array().and_then(|aliases| aliases.iter().map(Json::as_str).collect());
    texts.ok_or(Problem::Attribute("aliases", "list of texts"))
}

/// The primitive type of this name, with the logical type that the attributes give it.
pub(super) fn primitive(name: &str, attributes: &Map<String, Json>) -> Option<Type> {
    let logical = |carrier| LogicalType::of(attributes, carrier);
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int(logical(Carrier::Int)),
        "long" => Type::Long(logical(Carrier::Long)),
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes(logical(Carrier::Bytes)),
        "string" => Type::String(logical(Carrier::String)),
        _ => return None,
    })
}

pub(super) fn fixed(
    attributes: &Map<String, Json>,
    name: Name,
    aliases: Vec<String>,
) -> Result<Fixed, Problem> {
    let size = attributes.get("size").and_then(Json::as_u64).filter(|size| *size <= LARGEST_FIXED);
    let size = usize::try_from(size.ok_or(Problem::Size)?).map_err(|_| Problem::Size)?;
    Ok(Fixed { name, aliases, size, logical: LogicalType::of(attributes, Carrier::Fixed(size)) })
}

pub(super) fn symbols(
    attributes: &Map<String, Json>,
    name: Name,
    aliases: Vec<String>,
) -> Result<Enum, Problem> {
    let list = attributes.get("symbols").and_then(Json::as_array);
    let mut symbols: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for symbol in list.ok_or(Problem::Attribute("symbols", "list of texts"))? {
        let symbol = symbol.as_str().ok_or(Problem::Attribute("symbols", "list of texts"))?;
        validate(symbol)?;
        if !known.insert(symbol) {
            return Err(Problem::DuplicateSymbol(symbol.to_owned()));
        }
        symbols.push(symbol.to_owned());
    }
    let default = attributes.get("default").and_then(Json::as_str).map(str::to_owned);
    match default {
        Some(default) if !known.contains(default.as_str()) => Err(Problem::DefaultSymbol(default)),
        default => Ok(Enum { name, aliases, symbols, default }),
    }
}

/// Whether two definitions of a name are the same type, however they are documented.
pub(super) fn is_same(one: &Map<String, Json>, other: &Map<String, Json>) -> bool {
    let essential =
        |attributes: &'_ Map<String, Json>| attributes.keys().filter(|key| !is_comment(key)).count();
    essential(one) == essential(other)
        && one
            .iter()
            .filter(|(key, _)| !is_comment(key))
            .all(|(key, value)| other.get(key).is_some_and(|other| is_same_json(value, other)))
}

fn is_comment(key: &str) -> bool {
    key == "doc" || key == "aliases"
}

fn is_same_json(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => is_same(one, other),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_json(one, other))
        }
        _ => one == other,
    }
}

/// A number that a default gives as text, as the JVM reads it.
pub(crate) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.trim_start_matches(['+', '-']) {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        digits if digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') => {
            text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
        }
        _ => None,
    }
}
