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

use self::schema::{Field, Type};
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
                let differs = fields.iter().zip(found).find_map(|(field, (_, found))| {
                    let Field { name, as_type, default } = field;
                    let stored = json.get(name).or(default.as_ref());
                    self.difference(as_type, stored, found).map(|text| format!(".{name}{text}"))
                });
                differs.or_else(|| {
                    let unknown = json.keys().find(|name| fields.iter().all(|field| field.name != **name));
                    unknown.map(|name| format!(".{name}: is not a field of the schema"))
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
                Value::Number(number) => scaled(&without_exponent(&number.to_string()), *scale),
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

/// A number as text, written out: `1.5e3` is `1500`. What has no exponent stays as it is.
fn without_exponent(text: &str) -> String {
    let written_out = || {
        let (mantissa, exponent) = text.split_once(['e', 'E'])?;
        let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= 64)?;
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let point = i32::try_from(whole.len()).ok()? + exponent;
        let mut digits = format!("{whole}{fraction}");
        if point <= 0 {
            digits.insert_str(0, &"0".repeat(usize::try_from(1 - point).ok()?));
        }
        let point = usize::try_from(point.max(1)).ok()?;
        while digits.len() < point {
            digits.push('0');
        }
        let (whole, fraction) = digits.split_at(point);
        Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
    };
    written_out().unwrap_or_else(|| text.to_owned())
}

/// A whole number, however it is written: 1, 1.0, 1e3 and "1" are.
fn integer(json: &Value) -> Option<i64> {
    match json {
        Value::Number(number) => number.as_i64().or_else(|| {
            scaled(&without_exponent(&number.to_string()), 0).and_then(|number| i64::try_from(number).ok())
        }),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"{
        "type": "record", "name": "a.Everything", "fields": [
            {"name": "flag", "type": "boolean"},
            {"name": "count", "type": "int"},
            {"name": "big", "type": "long"},
            {"name": "ratio", "type": "double"},
            {"name": "name", "type": ["null", "string"]},
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "blob", "type": "bytes"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "other", "type": "Kind"},
            {"name": "parts", "type": {"type": "array", "items": {
                "type": "record", "name": "Part", "fields": [{"name": "n", "type": "int"}]}}},
            {"name": "part", "type": ["null", "Part"]},
            {"name": "labels", "type": {"type": "map", "values": "int"}}
        ]}"#;

    /// The datum of `json()`, by hand.
    fn datum() -> Vec<u8> {
        let mut bytes = vec![1, 5]; // flag, count -3
        bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]); // big 2^53
        bytes.extend(0.5_f64.to_le_bytes());
        bytes.extend([2, 4, b'h', b'i']); // name
        bytes.push(72);
        bytes.extend(b"6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        bytes.extend([6, 1, 2, 255]); // blob
        bytes.extend([6, 0x03, 0xe4, 0x18]); // amount 255000
        bytes.extend([2]); // day 1
        bytes.extend([0xd0, 0x0f]); // at 1000 ms
        bytes.extend([0xd1, 0x0f]); // local -1001 ms
        bytes.extend([2, 0]); // kind B, other A
        bytes.extend([4, 2, 4, 0]); // parts 1, 2
        bytes.extend([2, 6]); // part 3
        bytes.extend([2, 2, b'k', 8, 0]); // labels k 4
        bytes
    }

    fn json() -> Value {
        json!({
            "flag": true, "count": -3, "big": "9007199254740992", "ratio": 0.5, "name": "hi",
            "id": "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "blob": "AQL/", "amount": "255.000",
            "day": "1970-01-02", "at": "1970-01-01T00:00:01Z", "local": "1969-12-31T23:59:58.999",
            "kind": "B", "other": "A", "parts": [{"n": 1}, {"n": 2}], "part": {"n": 3}, "labels": {"k": 4},
        })
    }

    fn compare(json: &Value) -> Option<String> {
        let schema = Schema::parse(SCHEMA).unwrap();
        difference(&schema, json, &schema.decode(&datum()).unwrap())
    }

    #[test]
    fn one_thing_said_in_json_and_in_avro_is_the_same() {
        assert_eq!(compare(&json()), None);
        let mut other = json();
        (other["amount"], other["big"]) = (json!(255), json!(9_007_199_254_740_992_i64));
        assert_eq!(compare(&other), None);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let mut other = json();
        (other["count"], other["ratio"], other["amount"]) = (json!(-3.0), json!(5e-1), json!(2.55e2));
        (other["at"], other["big"]) =
            (json!("1970-01-01T02:00:01.000+02:00"), json!(9_007_199_254_740_992_f64));
        assert_eq!(compare(&other), None);
        for (text, expected) in
            [("1.5e3", "1500"), ("-1.5E-3", "-0.0015"), ("1e21", "1000000000000000000000"), ("1.25", "1.25")]
        {
            assert_eq!(without_exponent(text), expected);
        }
    }

    #[test]
    fn a_missing_value_is_null_or_its_default() {
        let schema = r#"{"type": "record", "name": "a.B", "fields": [
            {"name": "n", "type": ["null", "int"]}, {"name": "m", "type": "int", "default": 7}]}"#;
        let schema = Schema::parse(schema).unwrap();
        let compare = |json: Value, bytes: &[u8]| difference(&schema, &json, &schema.decode(bytes).unwrap());
        assert_eq!(compare(json!({}), &[0, 14]), None);
        assert_eq!(compare(json!({"m": null}), &[0, 14]).as_deref(), Some(".m: 7 instead of null"));
        assert_eq!(compare(json!({}), &[2, 2, 14]).as_deref(), Some(".n: 1 instead of null"));
    }

    #[test]
    fn a_difference_in_any_type_is_named_with_its_place() {
        let cases = [
            ("/flag", json!(false), ".flag: true instead of false"),
            ("/count", json!(3), ".count: -3 instead of 3"),
            ("/big", json!("9007199254740993"), ".big: 9007199254740992 instead of \"9007199254740993\""),
            ("/ratio", json!(0.25), ".ratio: 0.5 instead of 0.25"),
            ("/name", json!(null), ".name: \"hi\" instead of null"),
            (
                "/id",
                json!("6ba7b811"),
                ".id: \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\" instead of \"6ba7b811\"",
            ),
            ("/blob", json!("AQI="), ".blob: 3 bytes instead of \"AQI=\""),
            ("/amount", json!("255.0001"), ".amount: \"255.000\" instead of \"255.0001\""),
            ("/day", json!("1970-01-03"), ".day: 1 instead of \"1970-01-03\""),
            ("/at", json!("1970-01-01T00:00:01.001Z"), ".at: 1000 instead of \"1970-01-01T00:00:01.001Z\""),
            ("/local", json!("1970-01-01T00:00:00"), ".local: -1001 instead of \"1970-01-01T00:00:00\""),
            ("/kind", json!("A"), ".kind: \"B\" instead of \"A\""),
            ("/parts", json!([{"n": 1}]), ".parts: 2 entries instead of 1"),
            ("/parts/1/n", json!(3), ".parts[1].n: 2 instead of 3"),
            ("/part", json!(null), ".part: a record instead of null"),
            ("/labels/k", json!(5), ".labels.k: 4 instead of 5"),
            ("/labels", json!({}), ".labels: 1 entries instead of 0"),
        ];
        for (place, value, text) in cases {
            let mut other = json();
            *other.pointer_mut(place).unwrap() = value;
            assert_eq!(compare(&other).as_deref(), Some(text), "{place}");
        }
        let mut more = json();
        more["more"] = json!(1);
        assert_eq!(compare(&more).as_deref(), Some(".more: is not a field of the schema"));
        let mut less = json();
        less.as_object_mut().unwrap().remove("count");
        assert_eq!(compare(&less).as_deref(), Some(".count: -3 instead of null"));
    }

    #[test]
    fn bytes_that_are_no_datum_are_refused() {
        let schema = Schema::parse(SCHEMA).unwrap();
        let mut bytes = datum();
        bytes.push(0);
        assert_eq!(schema.decode(&bytes), Err("1 bytes are left over".to_owned()));
        assert!(schema.decode(&datum()[..40]).is_err());
    }
}
