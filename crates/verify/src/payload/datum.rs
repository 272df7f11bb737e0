//! The value of a record.

use std::fmt;

/// A value of an Avro type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    /// Also days, times of day and timestamps.
    Integer(i64),
    Float(f64),
    /// Also symbols of enums.
    Text(String),
    Bytes(Vec<u8>),
    /// Units of 10^-scale.
    Decimal(i128, u32),
    List(Vec<Datum>),
    /// In any order.
    Map(Vec<(String, Datum)>),
    /// Fields in the order of the schema.
    Record(Vec<(String, Datum)>),
    /// A branch of a union, by its place.
    Branch(usize, Box<Datum>),
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
            Self::Decimal(unscaled, scale) => {
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = *scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
                let (sign, point) =
                    (if *unscaled < 0 { "-" } else { "" }, if fraction.is_empty() { "" } else { "." });
                write!(f, "{sign}{whole}{point}{fraction}")
            }
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Map(entries) => write!(f, "a map of {}", entries.len()),
            Self::Record(_) => f.write_str("a record"),
            Self::Branch(_, value) => value.fmt(f),
        }
    }
}

/// Where and how what was found differs from what is expected, `None` if it does not.
pub(crate) fn difference(expected: &Datum, found: &Datum) -> Option<String> {
    let differs = || Some(format!(": {found} instead of {expected}"));
    match (expected, found) {
        (Datum::Record(expected), Datum::Record(found)) if expected.len() == found.len() => {
            let mut fields = expected.iter().zip(found);
            fields.find_map(|((name, expected), (_, found))| {
                difference(expected, found).map(|text| format!(".{name}{text}"))
            })
        }
        (Datum::List(expected), Datum::List(found)) => {
            if expected.len() != found.len() {
                return differs();
            }
            let mut items = expected.iter().zip(found).enumerate();
            items.find_map(|(n, (expected, found))| {
                difference(expected, found).map(|text| format!("[{n}]{text}"))
            })
        }
        (Datum::Map(expected), Datum::Map(found)) => {
            if expected.len() != found.len() {
                return differs();
            }
            expected.iter().find_map(|(key, expected)| match found.iter().find(|(found, _)| found == key) {
                Some((_, found)) => difference(expected, found).map(|text| format!(".{key}{text}")),
                None => Some(format!(".{key}: nothing instead of {expected}")),
            })
        }
        (Datum::Branch(branch, expected), Datum::Branch(other, found)) if branch == other => {
            difference(expected, found)
        }
        (Datum::Float(expected), Datum::Float(found)) => {
            let same = expected == found || (expected.is_nan() && found.is_nan());
            if same { None } else { differs() }
        }
        (expected, found) if expected == found => None,
        _ => differs(),
    }
}
