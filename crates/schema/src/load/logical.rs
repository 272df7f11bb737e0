//! Logical types that a schema parser would silently ignore: the file declares one, the bytes would not have it.

use serde_json::{Map, Value};

use crate::layout::invalid::InvalidSchema;

/// Walks the schema file as JSON and refuses logical types that are unknown or are on the wrong type.
pub(crate) fn check(schema: &Value) -> Result<(), InvalidSchema> {
    match schema {
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(object) => {
            check_one(object)?;
            // A default is data, not a schema.
            object.iter().filter(|(key, _)| *key != "default").try_for_each(|(_, value)| check(value))
        }
        _ => Ok(()),
    }
}

fn check_one(object: &Map<String, Value>) -> Result<(), InvalidSchema> {
    let Some(logical_type) = object.get("logicalType") else { return Ok(()) };
    let name = logical_type.as_str().unwrap_or_default();
    let base = object.get("type").and_then(Value::as_str).unwrap_or_default();
    let bases: &[&str] = match name {
        "decimal" => &["bytes", "fixed"],
        "uuid" => &["string", "fixed"],
        "date" | "time-millis" => &["int"],
        "time-micros"
        | "timestamp-millis"
        | "timestamp-micros"
        | "timestamp-nanos"
        | "local-timestamp-millis"
        | "local-timestamp-micros"
        | "local-timestamp-nanos" => &["long"],
        _ => {
            let problem = "is not supported; see the mapping in the schema policy";
            return Err(InvalidSchema::new(&format!("logicalType {logical_type}"), problem));
        }
    };
    let place = format!("logicalType {name}");
    if !bases.contains(&base) {
        return Err(InvalidSchema::new(
            &place,
            format!("is on {base:?}, but must be on {}", bases.join(" or ")),
        ));
    }
    let whole = |key: &str| object.get(key).map(Value::as_u64);
    if name == "decimal" {
        let precision = whole("precision").flatten().filter(|precision| *precision > 0);
        let scale = whole("scale").unwrap_or(Some(0));
        if precision.is_none_or(|precision| scale.is_none_or(|scale| scale > precision)) {
            return Err(InvalidSchema::new(
                &place,
                "needs a precision above zero, and a scale of at most that",
            ));
        }
    }
    if name == "uuid" && base == "fixed" && whole("size").flatten() != Some(16) {
        return Err(InvalidSchema::new(&place, "on fixed needs the size 16"));
    }
    Ok(())
}
