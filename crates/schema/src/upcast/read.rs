//! Avro to typed values.

use crate::layout::shape::{Shape, UuidForm};
use crate::layout::types::{DefaultValue, Layout, Record};
use crate::limits::{MAX_DEPTH, MAX_VALUES};
use crate::mapping::input::Input;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{decode, number, text};
use crate::upcast::budget::Budget;
use crate::upcast::value::{Entry, TimeType, Value};

/// Reads an event. Its values borrow the text from the Avro.
pub(crate) fn read<'a>(
    layout: &'a Layout,
    avro: &'a [u8],
    budget: &Budget<'a>,
) -> Result<&'a [Value<'a>], Mismatch> {
    let mut reader = Reader { layout, budget, input: Input::new(avro), values: 0 };
    let event = reader.record(layout.event(), 0)?;
    reader.input.end()?;
    Ok(event)
}

/// Reads a field's default. Its text may be large, and is shared by all that take it.
pub(crate) fn read_default<'a>(
    layout: &'a Layout,
    shape: &'a Shape,
    default: &'a DefaultValue,
    budget: &Budget<'a>,
) -> Result<Value<'a>, Mismatch> {
    // It is read again for each of those.
    budget.bytes(default.avro.len())?;
    Reader { layout, budget, input: Input::new(&default.avro), values: 0 }.value(shape, 0)
}

struct Reader<'a, 'b> {
    layout: &'a Layout,
    budget: &'b Budget<'a>,
    input: Input<'a>,
    values: usize,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, shape: &'a Shape, depth: usize) -> Result<Value<'a>, Mismatch> {
        if depth > MAX_DEPTH {
            return Err(Mismatch::new(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(match shape {
            Shape::Null => Value::Null,
            Shape::Boolean => Value::Bool(self.input.boolean()?),
            Shape::Int => Value::Int(self.input.int()?.into()),
            Shape::Long => Value::Int(self.input.long()?),
            Shape::Float => Value::Double(number::widened(f32::from_le_bytes(self.input.array()?))),
            Shape::Double => Value::Double(f64::from_le_bytes(self.input.array()?)),
            Shape::Bytes => Value::Bytes(self.input.block()?),
            Shape::String => Value::Text(self.input.text()?),
            Shape::Fixed(fixed) => Value::Bytes(self.input.bytes(fixed.size)?),
            Shape::Enum(of) => {
                let index = self.input.length()?;
                let symbol = of.symbols.get(index);
                let name = &of.name.full;
                Value::Text(symbol.ok_or_else(|| Mismatch::new(format!("{name} has no symbol {index}")))?)
            }
            Shape::Array(items) => Value::List(self.list(items, depth + 1)?),
            Shape::Map(values) => Value::Map(self.map(values, depth + 1)?),
            Shape::Record(index) => self.record_value(*index, depth + 1)?,
            Shape::Union(union) => {
                let branch = self.input.branch(union)?;
                self.value(branch, depth)?
            }
            Shape::Decimal(of) => {
                let bytes = match &of.fixed {
                    Some(fixed) => self.input.bytes(fixed.size)?,
                    None => self.input.block()?,
                };
                decode::decimal_number(bytes, of)?.into()
            }
            Shape::Uuid(form) => Value::Text(self.uuid(*form)?),
            Shape::Date => Value::Time(TimeType::Date, self.input.int()?.into()),
            Shape::TimeOfDay(unit) => Value::Time(TimeType::TimeOfDay(*unit), self.input.long()?),
            Shape::Timestamp(unit) => Value::Time(TimeType::Timestamp(*unit), self.input.long()?),
            Shape::LocalTimestamp(unit) => Value::Time(TimeType::LocalTimestamp(*unit), self.input.long()?),
        })
    }

    fn record_value(&mut self, index: usize, depth: usize) -> Result<Value<'a>, Mismatch> {
        let fields = self.record(&self.layout.records[index], depth)?;
        // A schema's records are far fewer.
        Ok(Value::Record(fields, index as u32))
    }

    fn record(&mut self, of: &'a Record, depth: usize) -> Result<&'a [Value<'a>], Mismatch> {
        self.count(of.fields.len())?;
        let fields = self.budget.many(of.fields.len(), Value::Null)?;
        for (value, field) in fields.iter_mut().zip(&of.fields) {
            *value = self.value(&field.shape, depth).map_err(|error| error.in_field(&field.name))?;
        }
        Ok(fields)
    }

    fn list(&mut self, items: &'a Shape, depth: usize) -> Result<&'a [Value<'a>], Mismatch> {
        let mut list: &'a mut [Value<'a>] = &mut [];
        let mut length = 0;
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(&list[..length]);
            }
            if length + count > list.len() {
                let longer = self.budget.many((length + count).max(2 * length), Value::Null)?;
                longer[..length].copy_from_slice(&list[..length]);
                list = longer;
            }
            for value in &mut list[length..length + count] {
                *value = self.value(items, depth)?;
            }
            length += count;
        }
    }

    fn map(&mut self, values: &'a Shape, depth: usize) -> Result<&'a [Entry<'a>], Mismatch> {
        let mut entries: &'a mut [Entry<'a>] = &mut [];
        let mut length = 0;
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(in_order(entries, length));
            }
            if length + count > entries.len() {
                let longer = self.budget.many((length + count).max(2 * length), ("", Value::Null))?;
                longer[..length].copy_from_slice(&entries[..length]);
                entries = longer;
            }
            for entry in &mut entries[length..length + count] {
                let key = self.input.text()?;
                *entry = (key, self.value(values, depth).map_err(|error| error.in_key(key))?);
            }
            length += count;
        }
    }

    /// The number of items in the next block.
    fn block(&mut self) -> Result<usize, Mismatch> {
        let count = usize::try_from(self.input.block_count()?).unwrap_or(usize::MAX);
        self.count(count)?;
        Ok(count)
    }

    /// A few bytes can claim any number of values.
    fn count(&mut self, values: usize) -> Result<(), Mismatch> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(Mismatch::new(format!("more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn uuid(&mut self, form: UuidForm) -> Result<&'a str, Mismatch> {
        let bytes = match form {
            UuidForm::Text => {
                let text = self.input.text()?;
                let is_canonical = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                let uuid = text::uuid(text)?;
                return if is_canonical { Ok(text) } else { self.budget.text(&uuid.to_string()) };
            }
            UuidForm::Fixed => self.input.bytes(16)?,
        };
        let uuid = uuid::Uuid::from_slice(bytes).map_err(|error| Mismatch::new(error.to_string()))?;
        self.budget.text(&uuid.to_string())
    }
}

/// What this product wrote is in the order of the keys. Of a key that others wrote twice the last value counts.
fn in_order<'a>(entries: &'a mut [Entry<'a>], length: usize) -> &'a [Entry<'a>] {
    let entries = &mut entries[..length];
    if entries.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return entries;
    }
    entries.sort_by_key(|(key, _)| *key);
    let mut kept = 0;
    for index in 0..entries.len() {
        let is_last = entries.get(index + 1).is_none_or(|(key, _)| *key != entries[index].0);
        if is_last {
            entries[kept] = entries[index];
            kept += 1;
        }
    }
    &entries[..kept]
}
