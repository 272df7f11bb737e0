//! Values as recordings write them: what to send, and whether what came is meant.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Map, Value, json};

/// What special values stood for so far.
#[derive(Default)]
pub(super) struct Bindings {
    /// By number: p3 is 3.
    positions: BTreeMap<u64, u64>,
    ids: BTreeMap<String, Value>,
}

impl Bindings {
    /// The message with special values replaced.
    pub(super) fn to_send(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) => match special(object) {
                Some(("$position", name)) => match name.as_str().unwrap() {
                    "zero" => json!("0"),
                    "end" => json!(u64::MAX.to_string()),
                    name => json!(self.positions[&position_number(name)].to_string()),
                },
                Some(("$id", name)) => self.ids[name.as_str().unwrap()].clone(),
                Some((_, _)) => json!(BASE64.encode(bytes(object).unwrap())),
                None => object.iter().map(|(key, value)| (key.clone(), self.to_send(value))).collect(),
            },
            Value::Array(array) => array.iter().map(|value| self.to_send(value)).collect(),
            other => other.clone(),
        }
    }

    /// Whether `actual`, which may be left out of its message, is what was recorded.
    pub(super) fn compare(&mut self, expected: &Value, actual: Option<&Value>) -> Result<(), String> {
        let differs = || Err(format!(": {}, expected {expected}", actual.unwrap_or(&Value::Null)));
        let Value::Object(object) = expected else {
            return match (expected, actual) {
                (Value::Array(expected), Some(Value::Array(actual))) if expected.len() == actual.len() => {
                    let mut pairs = expected.iter().zip(actual).enumerate();
                    pairs.try_for_each(|(i, (e, a))| {
                        self.compare(e, Some(a)).map_err(|what| format!("[{i}]{what}"))
                    })
                }
                (expected, Some(actual)) if expected == actual => Ok(()),
                (expected, None) if is_default(expected) => Ok(()),
                _ => differs(),
            };
        };
        match special(object) {
            Some(("$any", _)) => Ok(()),
            Some(("$position", name)) => {
                let position = number(actual.unwrap_or(&Value::Null));
                let expected = match name.as_str().unwrap() {
                    "zero" => 0,
                    "end" => u64::MAX,
                    name => *self.positions.entry(position_number(name)).or_insert(position),
                };
                if position == expected { Ok(()) } else { differs() }
            }
            Some(("$id", name)) => {
                let Some(actual) = actual else { return differs() };
                let bound =
                    self.ids.entry(name.as_str().unwrap().to_owned()).or_insert_with(|| actual.clone());
                if bound == actual { Ok(()) } else { differs() }
            }
            Some(("$time", _)) => {
                let now = jiff::Timestamp::now().as_second().unsigned_abs();
                let seconds = number(actual.unwrap_or(&Value::Null)) / 10_000_000;
                if now.abs_diff(seconds) < 600 { Ok(()) } else { differs() }
            }
            Some(("$uuid", _)) => {
                let id = actual.and_then(Value::as_str).is_some_and(|id| uuid::Uuid::parse_str(id).is_ok());
                if id { Ok(()) } else { differs() }
            }
            Some(_) => {
                let expected = bytes(object).unwrap();
                let actual =
                    actual.map_or(Ok(Vec::new()), |actual| BASE64.decode(actual.as_str().unwrap_or("?")));
                let alike = actual.is_ok_and(|actual| actual == expected || same_json(&actual, &expected));
                if alike { Ok(()) } else { differs() }
            }
            None => {
                let none = Map::new();
                let Some(actual) = actual.map_or(Some(&none), Value::as_object) else { return differs() };
                if actual.is_empty() && !object.is_empty() {
                    return differs();
                }
                if let Some(key) = actual.keys().find(|key| !object.contains_key(*key)) {
                    return Err(format!(".{key}: {}, expected nothing", actual[key]));
                }
                object.iter().try_for_each(|(key, expected)| {
                    self.compare(expected, actual.get(key)).map_err(|what| format!(".{key}{what}"))
                })
            }
        }
    }

    /// Positions grow in the order of their names.
    pub(super) fn check_order(&self) -> Result<(), String> {
        for ((name, position), (next_name, next)) in self.positions.iter().zip(self.positions.iter().skip(1))
        {
            if position >= next {
                return Err(format!("position p{name} is {position}, p{next_name} is {next}"));
            }
        }
        Ok(())
    }
}

fn special(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, value) = object.iter().next()?;
    (object.len() == 1 && key.starts_with('$')).then_some((key, value))
}

/// `{"$utf8": s}` and its like.
fn bytes(object: &Map<String, Value>) -> Option<Vec<u8>> {
    match special(object)? {
        ("$utf8", text) => Some(text.as_str()?.as_bytes().to_vec()),
        ("$base64", text) => BASE64.decode(text.as_str()?).ok(),
        ("$repeat", parts) => Some(parts[0].as_str()?.repeat(parts[1].as_u64()? as usize).into_bytes()),
        _ => None,
    }
}

fn same_json(a: &[u8], b: &[u8]) -> bool {
    let json = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    json(a).is_some_and(|a| Some(a) == json(b))
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Array(array) => array.is_empty(),
        _ => false,
    }
}

/// A 64-bit number, which JSON has as a string; left out is 0.
pub(super) fn number(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

fn position_number(name: &str) -> u64 {
    name.strip_prefix('p').unwrap().parse().unwrap()
}
