//! Defaults of fields as values.

use serde_json::Value as Json;

use crate::json_encoding::{float, latin1};
use crate::schema::{Record, Schema, Type, TypeId};
use crate::value::Value;

/// How deep a default may be nested: one that leads to its own record has no end.
const MAX_DEPTH: usize = 64;
/// How much memory the defaults of a plan may take, in bytes: a short schema can lead to large ones.
pub(crate) const MAX_MEMORY: usize = 16 << 20;
/// How many bytes of a default an error shows.
const SHOWN: usize = 100;

/// Whose answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A default that is not a value of its type is an error.
    Exact,
    /// As the reference reads it: cut, padded or rounded. To compare with its recordings.
    Reference,
}

/// A default that is not a value of its field's type. A schema may have such a one: it is only an error where it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the default {json} is not a {expected}, or is too large")]
pub(crate) struct DefaultError {
    json: String,
    expected: String,
}

/// Converts the defaults of a schema.
pub(crate) struct Defaults<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) mode: Mode,
    /// How much memory they may still take.
    pub(crate) memory: usize,
}

impl Defaults<'_> {
    /// The value of a default. In a union a number is that of the first branch that holds it, anything else that of the first
    /// branch with this kind of JSON.
    pub(crate) fn value(&mut self, id: TypeId, json: &Json) -> Result<Value, DefaultError> {
        self.convert(id, json, MAX_DEPTH).ok_or_else(|| {
            let mut json = json.to_string();
            if json.len() > SHOWN {
                json.truncate(json.floor_char_boundary(SHOWN));
                json.push('…');
            }
            DefaultError { json, expected: self.schema.get(id).branch_name().to_owned() }
        })
    }

    fn convert(&mut self, id: TypeId, json: &Json, levels: usize) -> Option<Value> {
        let levels = levels.checked_sub(1)?;
        let text = json.as_str().map_or(0, str::len);
        self.memory = self.memory.checked_sub(size_of::<Value>() + text)?;
        let schema = self.schema;
        Some(match schema.get(id) {
            Type::Null => json.is_null().then_some(Value::Null)?,
            Type::Boolean => Value::Boolean(json.as_bool()?),
            Type::Int(_) => Value::Int(match self.mode {
                Mode::Exact => json.as_i64()?.try_into().ok()?,
                Mode::Reference => {
                    json.as_i64().map_or_else(|| json.as_f64().map(|it| it as i32), |it| Some(it as i32))?
                }
            }),
            Type::Long(_) => Value::Long(match self.mode {
                Mode::Exact => json.as_i64()?,
                Mode::Reference => json.as_i64().or_else(|| json.as_f64().map(|it| it as i64))?,
            }),
            Type::Float => Value::Float(self.narrow(float(json)?)?),
            Type::Double => Value::Double(float(json)?),
            Type::Bytes(_) => Value::Bytes(self.bytes(json.as_str()?)?),
            Type::String(_) => Value::String(json.as_str()?.to_owned()),
            Type::Array(items) => {
                let values = json.as_array()?.iter().map(|value| self.convert(*items, value, levels));
                Value::Array(values.collect::<Option<_>>()?)
            }
            Type::Map(values) => {
                let entries = json.as_object()?.iter();
                let entries =
                    entries.map(|(key, value)| Some((key.clone(), self.convert(*values, value, levels)?)));
                Value::Map(entries.collect::<Option<_>>()?)
            }
            Type::Union(branches) => {
                let index = self.branch(branches, json)?;
                Value::Union(index, Box::new(self.convert(branches[index], json, levels)?))
            }
            Type::Record(Record { fields, .. }) => {
                let values = json.as_object()?;
                let fields = fields.iter().map(|field| {
                    let value = values.get(&field.name).or(field.default.as_ref())?;
                    self.convert(field.field_type, value, levels)
                });
                Value::Record(fields.collect::<Option<_>>()?)
            }
            Type::Enum(it) => {
                let symbol = json.as_str()?;
                Value::Enum(it.symbols.iter().position(|known| known == symbol)?)
            }
            Type::Fixed(it) => {
                let mut bytes = self.bytes(json.as_str()?)?;
                if self.mode == Mode::Reference {
                    bytes.resize(it.size.min(self.memory), 0);
                }
                Value::Fixed(Some(bytes).filter(|bytes| bytes.len() == it.size)?)
            }
        })
    }

    fn branch(&self, branches: &[TypeId], json: &Json) -> Option<usize> {
        branches.iter().position(|branch| match self.schema.get(*branch) {
            Type::Null => json.is_null(),
            Type::Boolean => json.is_boolean(),
            Type::Int(_) if self.mode == Mode::Exact => {
                json.as_i64().is_some_and(|it| i32::try_from(it).is_ok())
            }
            Type::Long(_) if self.mode == Mode::Exact => json.as_i64().is_some(),
            Type::Int(_) | Type::Long(_) | Type::Float | Type::Double => json.is_number(),
            Type::Bytes(_) | Type::String(_) | Type::Enum(_) | Type::Fixed(_) => json.is_string(),
            Type::Array(_) => json.is_array(),
            Type::Map(_) | Type::Record(_) => json.is_object(),
            Type::Union(_) => false,
        })
    }

    /// `None`: the number is finite, and there is no float near it.
    fn narrow(&self, number: f64) -> Option<f32> {
        let narrow = number as f32;
        (narrow.is_finite() || !number.is_finite() || self.mode == Mode::Reference).then_some(narrow)
    }

    fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        match self.mode {
            Mode::Exact => latin1(text),
            Mode::Reference => Some(
                text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect(),
            ),
        }
    }
}
