//! Values to bytes.

use crate::binary::{write_bytes, write_long};
use crate::schema::{Schema, Type, TypeId};
use crate::value::Value;

/// A value that is not one of its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a {0}")]
pub struct EncodeError(String);

impl Schema {
    /// Appends the bytes of a value. Arrays and maps are one block. What was appended before an error stays.
    ///
    /// # Errors
    /// It is not a value of this schema.
    pub fn encode(&self, value: &Value, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, self.root, value, bytes)
    }
}

pub(crate) fn encode(
    schema: &Schema,
    id: TypeId,
    value: &Value,
    bytes: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let of_type = schema.get(id);
    let mismatch = || EncodeError(of_type.branch_name().to_owned());
    match (of_type, value) {
        (Type::Null, Value::Null) => {}
        (Type::Boolean, Value::Boolean(value)) => bytes.push(u8::from(*value)),
        (Type::Int(_), Value::Int(value)) => write_long(i64::from(*value), bytes),
        (Type::Long(_), Value::Long(value)) => write_long(*value, bytes),
        (Type::Float, Value::Float(value)) => bytes.extend(value.to_le_bytes()),
        (Type::Double, Value::Double(value)) => bytes.extend(value.to_le_bytes()),
        (Type::Bytes(_), Value::Bytes(value)) => write_bytes(value, bytes),
        (Type::String(_), Value::String(value)) => write_bytes(value.as_bytes(), bytes),
        (Type::Array(items), Value::Array(values)) => {
            begin_block(values.len(), bytes);
            values.iter().try_for_each(|value| encode(schema, *items, value, bytes))?;
            bytes.push(0);
        }
        (Type::Map(values_type), Value::Map(values)) => {
            begin_block(values.len(), bytes);
            for (key, value) in values {
                write_bytes(key.as_bytes(), bytes);
                encode(schema, *values_type, value, bytes)?;
            }
            bytes.push(0);
        }
        (Type::Record(record), Value::Record(values)) if values.len() == record.fields.len() => {
            for (field, value) in record.fields.iter().zip(values) {
                encode(schema, field.field_type, value, bytes)?;
            }
        }
        (Type::Enum(it), Value::Enum(symbol)) if *symbol < it.symbols.len() => {
            write_long(*symbol as i64, bytes)
        }
        (Type::Fixed(it), Value::Fixed(value)) if value.len() == it.size => bytes.extend_from_slice(value),
        (Type::Union(branches), Value::Union(index, value)) => {
            let branch = branches.get(*index).ok_or_else(mismatch)?;
            write_long(*index as i64, bytes);
            encode(schema, *branch, value, bytes)?;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// Nothing but the block without items, which comes after the last one, is written of an empty value.
fn begin_block(items: usize, bytes: &mut Vec<u8>) {
    if items > 0 {
        write_long(items as i64, bytes);
    }
}
