//! Avro's JSON encoding: a value of a union is null or `{"branch": value}`, bytes are texts with a character a byte.

use serde_json::{Map, Number, Value as Json};

use crate::schema::{Schema, Type, TypeId};
use crate::value::Value;

/// A value and a schema, or JSON and a schema, that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a {1}")]
pub struct JsonError(String, String);

impl Value {
    /// Reads a value of a schema from JSON.
    ///
    /// # Errors
    /// The JSON is not the encoding of a value of this schema.
    pub fn from_json(schema: &Schema, json: &Json) -> Result<Self, JsonError> {
        read(schema, schema.root, json)
    }

    /// The JSON of a value. NaN and the infinities are texts, as in the reference.
    ///
    /// # Errors
    /// It is not a value of this schema.
    pub fn to_json(&self, schema: &Schema) -> Result<Json, JsonError> {
        write(schema, schema.root, self)
    }
}

fn read(schema: &Schema, id: TypeId, json: &Json) -> Result<Value, JsonError> {
    let of_type = schema.get(id);
    let mismatch = || JsonError(json.to_string(), of_type.branch_name().to_owned());
    Ok(match (of_type, json) {
        (Type::Null, Json::Null) => Value::Null,
        (Type::Boolean, Json::Bool(value)) => Value::Boolean(*value),
        (Type::Int(_), Json::Number(number)) => {
            let value = number.as_i64().and_then(|value| value.try_into().ok());
            Value::Int(value.ok_or_else(mismatch)?)
        }
        (Type::Long(_), Json::Number(number)) => Value::Long(number.as_i64().ok_or_else(mismatch)?),
        (Type::Float, _) => Value::Float(float(json).ok_or_else(mismatch)? as f32),
        (Type::Double, _) => Value::Double(float(json).ok_or_else(mismatch)?),
        (Type::Bytes(_), Json::String(text)) => Value::Bytes(latin1(text).ok_or_else(mismatch)?),
        (Type::Fixed(it), Json::String(text)) => {
            let bytes = latin1(text).filter(|bytes| bytes.len() == it.size);
            Value::Fixed(bytes.ok_or_else(mismatch)?)
        }
        (Type::String(_), Json::String(text)) => Value::String(text.clone()),
        (Type::Array(items), Json::Array(values)) => {
            let values = values.iter().map(|value| read(schema, *items, value));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        (Type::Map(values_type), Json::Object(values)) => {
            let values = values.iter();
            let values = values.map(|(key, value)| Ok((key.clone(), read(schema, *values_type, value)?)));
            Value::Map(values.collect::<Result<_, _>>()?)
        }
        (Type::Record(record), Json::Object(values)) if values.len() == record.fields.len() => {
            let fields = record.fields.iter().map(|field| {
                let value = values.get(&field.name).ok_or_else(mismatch)?;
                read(schema, field.field_type, value)
            });
            Value::Record(fields.collect::<Result<_, _>>()?)
        }
        (Type::Enum(it), Json::String(text)) => {
            let symbol = it.symbols.iter().position(|symbol| symbol == text);
            Value::Enum(symbol.ok_or_else(mismatch)?)
        }
        (Type::Union(branches), Json::Null) => {
            let index = branches.iter().position(|branch| *schema.get(*branch) == Type::Null);
            Value::Union(index.ok_or_else(mismatch)?, Box::new(Value::Null))
        }
        (Type::Union(branches), Json::Object(value)) if value.len() == 1 => {
            let (name, value) = value.iter().next().ok_or_else(mismatch)?;
            let index = branches.iter().position(|branch| schema.get(*branch).branch_name() == name);
            let index = index.ok_or_else(mismatch)?;
            Value::Union(index, Box::new(read(schema, branches[index], value)?))
        }
        _ => return Err(mismatch()),
    })
}

fn write(schema: &Schema, id: TypeId, value: &Value) -> Result<Json, JsonError> {
    let of_type = schema.get(id);
    let mismatch = || JsonError("the value".to_owned(), of_type.branch_name().to_owned());
    Ok(match (of_type, value) {
        (Type::Null, Value::Null) => Json::Null,
        (Type::Boolean, Value::Boolean(value)) => Json::Bool(*value),
        (Type::Int(_), Value::Int(value)) => (*value).into(),
        (Type::Long(_), Value::Long(value)) => (*value).into(),
        // By way of its shortest text: as a double, 1.1 would be 1.100000023841858.
        (Type::Float, Value::Float(value)) => number(value.to_string().parse().unwrap_or(f64::from(*value))),
        (Type::Double, Value::Double(value)) => number(*value),
        (Type::Bytes(_), Value::Bytes(bytes)) | (Type::Fixed(_), Value::Fixed(bytes)) => {
            Json::String(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        (Type::String(_), Value::String(text)) => Json::String(text.clone()),
        (Type::Array(items), Value::Array(values)) => {
            let values = values.iter().map(|value| write(schema, *items, value));
            Json::Array(values.collect::<Result<_, _>>()?)
        }
        (Type::Map(values_type), Value::Map(values)) => {
            let values = values.iter();
            let values = values.map(|(key, value)| Ok((key.clone(), write(schema, *values_type, value)?)));
            Json::Object(values.collect::<Result<_, _>>()?)
        }
        (Type::Record(record), Value::Record(values)) if values.len() == record.fields.len() => {
            let fields = record.fields.iter().zip(values);
            let fields = fields
                .map(|(field, value)| Ok((field.name.clone(), write(schema, field.field_type, value)?)));
            Json::Object(fields.collect::<Result<_, _>>()?)
        }
        (Type::Enum(it), Value::Enum(symbol)) => {
            Json::String(it.symbols.get(*symbol).ok_or_else(mismatch)?.clone())
        }
        (Type::Union(branches), Value::Union(index, value)) => {
            let branch = *branches.get(*index).ok_or_else(mismatch)?;
            match schema.get(branch) {
                Type::Null => Json::Null,
                named => {
                    let value = write(schema, branch, value)?;
                    Json::Object(Map::from_iter([(named.branch_name().to_owned(), value)]))
                }
            }
        }
        _ => return Err(mismatch()),
    })
}

/// The bytes of a text with a character for each. `None`: it has characters beyond U+00FF.
pub(crate) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// NaN and the infinities are texts.
pub(crate) fn float(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn number(value: f64) -> Json {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(value).map_or_else(|| Json::String(text.to_owned()), Json::Number)
}
