//! Defaults of fields as values.

use serde_json::Value as Json;

use crate::json_encoding::latin1;
use crate::parse::float;
use crate::schema::{Record, Schema, Type, TypeId};
use crate::value::Value;

/// How deep a default may be nested: one that leads to its own record has no end.
const DEEPEST: usize = 64;

/// A default that is no value of its field's type. A schema may have such a one: it is only an error where it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the default {json} is no {expected}")]
pub(crate) struct DefaultError {
    json: String,
    expected: String,
}

/// The value of a default. In a union it is that of the first branch of which the default is a value.
pub(crate) fn value(schema: &Schema, id: TypeId, json: &Json) -> Result<Value, DefaultError> {
    convert(schema, id, json, DEEPEST).ok_or_else(|| DefaultError {
        json: json.to_string(),
        expected: schema.get(id).branch_name().to_owned(),
    })
}

fn convert(schema: &Schema, id: TypeId, json: &Json, levels: usize) -> Option<Value> {
    let levels = levels.checked_sub(1)?;
    Some(match schema.get(id) {
        Type::Null => json.is_null().then_some(Value::Null)?,
        Type::Boolean => Value::Boolean(json.as_bool()?),
        Type::Int(_) => Value::Int(json.as_i64()?.try_into().ok()?),
        Type::Long(_) => Value::Long(json.as_i64()?),
        Type::Float => Value::Float(narrow(number(json)?)?),
        Type::Double => Value::Double(number(json)?),
        Type::Bytes(_) => Value::Bytes(latin1(json.as_str()?)?),
        Type::String(_) => Value::String(json.as_str()?.to_owned()),
        Type::Array(items) => {
            let values = json.as_array()?.iter().map(|value| convert(schema, *items, value, levels));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Type::Map(values) => {
            let entries = json.as_object()?.iter();
            let entries =
                entries.map(|(key, value)| Some((key.clone(), convert(schema, *values, value, levels)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
        Type::Union(branches) => {
            let mut values = branches.iter().map(|branch| convert(schema, *branch, json, levels)).enumerate();
            values.find_map(|(index, value)| Some(Value::Union(index, Box::new(value?))))?
        }
        Type::Record(Record { fields, .. }) => {
            let values = json.as_object()?;
            let fields = fields.iter().map(|field| {
                let value = values.get(&field.name).or(field.default.as_ref())?;
                convert(schema, field.field_type, value, levels)
            });
            Value::Record(fields.collect::<Option<_>>()?)
        }
        Type::Enum(it) => {
            let symbol = json.as_str()?;
            Value::Enum(it.symbols.iter().position(|known| known == symbol)?)
        }
        Type::Fixed(it) => Value::Fixed(latin1(json.as_str()?).filter(|bytes| bytes.len() == it.size)?),
    })
}

/// A text is allowed for a field that is a float or a double.
fn number(json: &Json) -> Option<f64> {
    json.as_f64().or_else(|| float(json.as_str()?))
}

/// `None`: the number is finite, and no float is near it.
fn narrow(number: f64) -> Option<f32> {
    let narrow = number as f32;
    (narrow.is_finite() || !number.is_finite()).then_some(narrow)
}
