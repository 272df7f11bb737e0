//! The attributes of a type.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value as Json};

use crate::logical::{Carrier, LogicalType};
use crate::name::{Name, validate};
use crate::parse::Problem;
use crate::schema::{Enum, Fixed, Order, Type};

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
    let doc = attributes.get("doc").and_then(Json::as_str).map(str::to_owned);
    let default = attributes.get("default").and_then(Json::as_str).map(str::to_owned);
    match default {
        Some(default) if !known.contains(default.as_str()) => Err(Problem::DefaultSymbol(default)),
        default => Ok(Enum { name, aliases, doc, symbols, default }),
    }
}

/// The attributes of a type or a field that have no meaning for the reference; logical types have one above.
pub(super) fn other_attributes(attributes: &Map<String, Json>) -> Map<String, Json> {
    const KNOWN: [&str; 10] =
        ["aliases", "doc", "fields", "items", "name", "namespace", "size", "symbols", "type", "values"];
    let others = attributes.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
    others.map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn order(attributes: &Map<String, Json>) -> Result<Order, Problem> {
    let Some(order) = attributes.get("order") else { return Ok(Order::Ascending) };
    match order.as_str().map(str::to_lowercase).as_deref() {
        Some("ascending") => Ok(Order::Ascending),
        Some("descending") => Ok(Order::Descending),
        Some("ignore") => Ok(Order::Ignore),
        _ => Err(Problem::Order),
    }
}

/// The default of a float that is given as text, as the JVM reads it: as a number, or as one of three names.
pub(super) fn float_default(text: &str) -> Option<Json> {
    let text = text.trim_matches(|character| character <= ' ');
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    match (sign, digits) {
        (_, "NaN") => Some("NaN".into()),
        ("-", "Infinity") => Some("-Infinity".into()),
        (_, "Infinity") => Some("Infinity".into()),
        _ if digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') => {
            let number: f64 = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()?;
            let infinite = if number < 0.0 { "-Infinity" } else { "Infinity" };
            Some(Number::from_f64(number).map_or_else(|| infinite.into(), Json::Number))
        }
        _ => None,
    }
}
