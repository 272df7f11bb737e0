//! Plain JSON against Avro, compared typed under the writer's schema.
//!
//! The datum is decoded into a tree that keeps what the bytes say; the JSON is read the way its type in the
//! schema asks: a decimal exactly, a time as a number of milliseconds, an enum by its symbol.

mod datum;
mod schema;

pub(crate) use datum::Datum;
pub(crate) use schema::Schema;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime, date};
use jiff::{Timestamp, Unit};
use serde_json::Value;

use self::schema::Type;
use crate::decimal::scaled;

/// Where and how the datum differs from the JSON, `None` if it doesn't.
pub(crate) fn difference(schema: &Schema, json: &Value, datum: &Datum) -> Option<String> {
    Comparison { schema }.difference(schema.root(), Some(json), datum)
}

struct Comparison<'a> {
    schema: &'a Schema,
}

impl Comparison<'_> {
    fn difference(&self, as_type: &Type, json: Option<&Value>, datum: &Datum) -> Option<String> {
        let as_type = self.schema.resolve(as_type);
        match (as_type, json, datum) {
            (Type::Record(fields), Some(Value::Object(json)), Datum::Record(found)) => {
                let differs = fields.iter().zip(found).find_map(|((name, as_type), (_, found))| {
                    self.difference(as_type, json.get(name), found).map(|text| format!(".{name}{text}"))
                });
                differs.or_else(|| {
                    let unknown = json.keys().find(|name| fields.iter().all(|(known, _)| known != *name));
                    unknown.map(|name| format!(".{name}: is no field of the schema"))
                })
            }
            (Type::Array(items), Some(Value::Array(json)), Datum::List(found)) => {
                if json.len() != found.len() {
                    return Some(format!(": {} entries instead of {}", found.len(), json.len()));
                }
                json.iter().zip(found).enumerate().find_map(|(n, (json, found))| {
                    self.difference(items, Some(json), found).map(|text| format!("[{n}]{text}"))
                })
            }
            (Type::Map(values), Some(Value::Object(json)), Datum::Record(found)) => {
                if json.len() != found.len() {
                    return Some(format!(": {} entries instead of {}", found.len(), json.len()));
                }
                found.iter().find_map(|(key, found)| {
                    self.difference(values, json.get(key), found).map(|text| format!(".{key}{text}"))
                })
            }
            // The datum doesn't say which branch it was: the JSON fits it as one of them.
            (Type::Union(branches), ..) => {
                let mut first = None;
                for branch in branches.iter().rev() {
                    first = Some(self.difference(branch, json, datum)?);
                }
                first.or_else(|| Some(": the union has no branches".to_owned()))
            }
            (as_type, json, found) => {
                let json = json.unwrap_or(&Value::Null);
                (!same(as_type, json, found)).then(|| format!(": {found} instead of {json}"))
            }
        }
    }
}

fn same(as_type: &Type, json: &Value, datum: &Datum) -> bool {
    match (as_type, json, datum) {
        (Type::Null, Value::Null, Datum::Null) => true,
        (Type::Boolean, Value::Bool(json), Datum::Bool(found)) => json == found,
        (Type::Integer, json, Datum::Integer(found)) => integer(json) == Some(*found),
        (Type::Float, json, Datum::Float(found)) => json.as_f64() == Some(*found),
        (Type::Bytes, Value::String(json), Datum::Bytes(found)) => STANDARD.encode(found) == *json,
        (Type::Text, Value::String(json), Datum::Text(found)) => json == found,
        (Type::Uuid, Value::String(json), Datum::Text(found)) => json.eq_ignore_ascii_case(found),
        (Type::Decimal(scale), json, Datum::Text(found)) => {
            let exact = match json {
                Value::String(text) => scaled(text, *scale),
                Value::Number(number) => scaled(&number.to_string(), *scale),
                _ => None,
            };
            exact.is_some() && exact == scaled(found, *scale)
        }
        (Type::Date, Value::String(json), Datum::Integer(found)) => {
            json.parse::<Date>().ok().and_then(days) == Some(*found)
        }
        (Type::LocalTimestamp(unit), Value::String(json), Datum::Integer(found)) => {
            let utc = |at: DateTime| at.to_zoned(jiff::tz::TimeZone::UTC).ok();
            let at = json.parse::<DateTime>().ok().and_then(utc);
            at.and_then(|at| since_epoch(at.timestamp(), *unit)) == Some(*found)
        }
        (Type::Timestamp(unit), Value::String(json), Datum::Integer(found)) => {
            json.parse::<Timestamp>().ok().and_then(|at| since_epoch(at, *unit)) == Some(*found)
        }
        _ => false,
    }
}

fn integer(json: &Value) -> Option<i64> {
    match json {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn days(day: Date) -> Option<i64> {
    Some(date(1970, 1, 1).until((Unit::Day, day)).ok()?.get_days().into())
}

/// Exactly, or nothing.
fn since_epoch(at: Timestamp, unit: Unit) -> Option<i64> {
    let nanoseconds = at.as_nanosecond();
    let per_unit = match unit {
        Unit::Millisecond => 1_000_000,
        Unit::Microsecond => 1_000,
        _ => return None,
    };
    if nanoseconds % per_unit == 0 { (nanoseconds / per_unit).try_into().ok() } else { None }
}
