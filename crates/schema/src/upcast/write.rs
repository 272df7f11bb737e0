//! Typed values to Avro.

use crate::layout::shape::{Shape, UuidForm};
use crate::layout::types::{Layout, Record};
use crate::limits::{MAX_DEPTH, MAX_EVENT_BYTES, MAX_VALUES};
use crate::mapping::decode::too_many_values;
use crate::mapping::encode::{append_decimal, append_varint};
use crate::mapping::mismatch::Mismatch;
use crate::mapping::text;
use crate::upcast::value::Value;

/// Writes an event of the layout's own types. Values that are shared are written at each place, so the size is checked
/// before each of them.
pub(crate) fn write(layout: &Layout, event: &[Value<'_>], capacity: usize) -> Result<Vec<u8>, Mismatch> {
    let mut writer = Writer { layout, avro: Vec::with_capacity(capacity), values: 1 };
    writer.record(layout.event(), event, 0)?;
    Ok(writer.avro)
}

struct Writer<'l> {
    layout: &'l Layout,
    avro: Vec<u8>,
    values: usize,
}

impl<'l> Writer<'l> {
    fn value(&mut self, shape: &Shape, value: Value<'_>, depth: usize) -> Result<(), Mismatch> {
        // As they are counted when they are read; the event itself is the first level.
        let is_nested = matches!(shape, Shape::Array(_) | Shape::Map(_) | Shape::Record(_));
        if depth + 1 + usize::from(is_nested) >= MAX_DEPTH {
            return Err(Mismatch::new(format!("nested {MAX_DEPTH} levels deep or deeper")));
        }
        self.visit()?;
        match (shape, value) {
            (Shape::Union(union), value) => {
                let branch = union.branch_of(value.json_kind(), false);
                let index = branch.ok_or_else(|| unfit(shape, value))?;
                self.varint(index as i64);
                return self.value(&union.branches[index], value, depth);
            }
            (Shape::Null, Value::Null) => {}
            (Shape::Boolean, Value::Bool(flag)) => self.avro.push(u8::from(flag)),
            (Shape::Int | Shape::Long, Value::Int(number)) => self.varint(number),
            #[expect(clippy::cast_possible_truncation, reason = "it is a float")]
            (Shape::Float, Value::Double(number)) => {
                self.avro.extend_from_slice(&(number as f32).to_le_bytes());
            }
            (Shape::Double, Value::Double(number)) => self.avro.extend_from_slice(&number.to_le_bytes()),
            (Shape::Bytes, Value::Bytes(bytes)) => self.block(bytes)?,
            (Shape::String, Value::Text(text)) => self.block(text.as_bytes())?,
            (Shape::Fixed(_), Value::Bytes(bytes)) => self.raw(bytes)?,
            (Shape::Enum(of), Value::Text(symbol)) => {
                let index = of.symbols.iter().position(|known| known == symbol);
                self.varint(index.ok_or_else(|| unfit(shape, value))? as i64);
            }
            (Shape::Array(items), Value::List(list)) => {
                self.count(list.len());
                for (index, item) in list.iter().enumerate() {
                    self.value(items, *item, depth + 1).map_err(|error| error.in_item(index))?;
                }
                self.avro.push(0);
            }
            (Shape::Map(values), Value::Map(entries)) => {
                self.count(entries.len());
                for (key, value) in entries {
                    self.block(key.as_bytes())?;
                    self.value(values, *value, depth + 1).map_err(|error| error.in_key(key))?;
                }
                self.avro.push(0);
            }
            (Shape::Record(index), Value::Record(fields, _)) => {
                let layout = self.layout;
                self.record(&layout.records[*index], fields, depth + 1)?;
            }
            (Shape::Decimal(of), value) => {
                let number = value.decimal().ok_or_else(|| unfit(shape, value))?;
                self.room(of.fixed.as_ref().map_or(0, |fixed| fixed.size))?;
                append_decimal(&mut self.avro, of, number)?;
            }
            (Shape::Uuid(form), Value::Text(text)) => match form {
                UuidForm::Text => self.block(text.as_bytes())?,
                UuidForm::Fixed => self.raw(text::uuid(text)?.as_bytes())?,
            },
            (
                Shape::Date | Shape::TimeOfDay(_) | Shape::Timestamp(_) | Shape::LocalTimestamp(_),
                Value::Time(_, units),
            ) => self.varint(units),
            _ => return Err(unfit(shape, value)),
        }
        Ok(())
    }

    fn record(&mut self, of: &'l Record, fields: &[Value<'_>], depth: usize) -> Result<(), Mismatch> {
        for (field, value) in of.fields.iter().zip(fields) {
            self.value(&field.shape, *value, depth).map_err(|error| error.in_field(&field.name))?;
        }
        Ok(())
    }

    /// Counts values as the mapping does: a union is one, and its value another.
    fn visit(&mut self) -> Result<(), Mismatch> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(too_many_values()) } else { self.room(1) }
    }

    fn count(&mut self, items: usize) {
        if items > 0 {
            self.varint(items as i64);
        }
    }

    fn block(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.varint(bytes.len() as i64);
        self.raw(bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.room(bytes.len())?;
        self.avro.extend_from_slice(bytes);
        Ok(())
    }

    fn varint(&mut self, number: i64) {
        append_varint(&mut self.avro, number);
    }

    fn room(&self, bytes: usize) -> Result<(), Mismatch> {
        if bytes > MAX_EVENT_BYTES.saturating_sub(self.avro.len()) {
            let problem = format!("more than the {MAX_EVENT_BYTES} bytes that an event may have");
            return Err(Mismatch::new(problem));
        }
        Ok(())
    }
}

fn unfit(shape: &Shape, value: Value<'_>) -> Mismatch {
    Mismatch::new(format!("expected {}, found {}", shape.describe(), value.describe()))
}
