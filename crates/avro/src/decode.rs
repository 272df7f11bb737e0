//! Bytes to values.

use std::collections::BTreeMap;

use crate::binary::Input;
use crate::default::Mode;
use crate::resolution::{Action, ActionId, FieldStep, Numeric, RecordAction, Resolution};
use crate::schema::{Schema, Type, TypeId};
use crate::value::Value;

/// How deep a value may be nested.
const MAX_DEPTH: usize = 128;
/// How large a value may become in memory, in bytes: a few bytes can be an array of as many nulls as a long counts.
const MAX_MEMORY: usize = 64 << 20;

/// Bytes that are not read as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DecodeError {
    #[error("the bytes end within the value")]
    TooShort,
    #[error("{0} bytes come after the value")]
    Trailing(usize),
    #[error("a number has more bytes than a long")]
    TooLong,
    #[error("{0} is not an int")]
    Int(i64),
    #[error("{0} is not a boolean")]
    Boolean(u8),
    #[error("a length is negative")]
    Negative,
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    #[error("there is no symbol or branch {0}")]
    Index(i64),
    #[error("the reader has no symbol {0:?}")]
    Symbol(String),
    #[error("{0}")]
    Unreadable(String),
    #[error("the value is nested more than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the value is larger than 64 MiB")]
    TooLarge,
}

impl Schema {
    /// Reads a value that this schema wrote; the bytes must end with it. For many values, keep a
    /// [`Resolution`] of the schema with itself.
    ///
    /// # Errors
    /// See [`Resolution::decode`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        Resolution::identity(self).decode(bytes)
    }
}

/// Reads one value.
pub(crate) struct Decoder<'a> {
    plan: &'a Resolution,
    input: Input<'a>,
    /// How many levels may follow.
    levels: usize,
    /// How many bytes of memory the value may still take.
    budget: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(plan: &'a Resolution, bytes: &'a [u8]) -> Self {
        Self { plan, input: Input { rest: bytes }, levels: MAX_DEPTH, budget: MAX_MEMORY }
    }

    pub(crate) fn decode(mut self) -> Result<Value, DecodeError> {
        let value = self.value(self.plan.root)?;
        match self.input.rest.len() {
            0 => Ok(value),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(DecodeError::TooLarge)?;
        Ok(())
    }

    fn value(&mut self, id: ActionId) -> Result<Value, DecodeError> {
        self.charge(size_of::<Value>())?;
        Ok(match &self.plan.actions[id.0] {
            Action::Null => Value::Null,
            Action::Boolean => Value::Boolean(self.input.boolean()?),
            Action::Int(target) => {
                let value = self.input.int()?;
                match target {
                    Numeric::Int => Value::Int(value),
                    Numeric::Long => Value::Long(value.into()),
                    Numeric::Float => Value::Float(value as f32),
                    Numeric::Double => Value::Double(value.into()),
                }
            }
            Action::Long(target) => {
                let value = self.input.long()?;
                match target {
                    Numeric::Float => Value::Float(value as f32),
                    Numeric::Double => Value::Double(value as f64),
                    Numeric::Int | Numeric::Long => Value::Long(value),
                }
            }
            Action::Float(target) => {
                let value = f32::from_le_bytes(self.input.array()?);
                if *target == Numeric::Double { Value::Double(value.into()) } else { Value::Float(value) }
            }
            Action::Double => Value::Double(f64::from_le_bytes(self.input.array()?)),
            Action::Bytes | Action::StringToBytes => Value::Bytes(self.bytes()?.to_vec()),
            Action::String | Action::BytesToString => {
                let bytes = self.bytes()?;
                Value::String(match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) if self.plan.mode == Mode::Reference => {
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                    Err(_) => return Err(DecodeError::InvalidUtf8),
                })
            }
            Action::Fixed(size) => {
                self.charge(*size)?;
                Value::Fixed(self.input.take(*size)?.to_vec())
            }
            Action::Enum(symbols) => {
                let (number, index) = self.index()?;
                let symbol = symbols.get(index).ok_or(DecodeError::Index(number))?;
                Value::Enum(symbol.clone().map_err(DecodeError::Symbol)?)
            }
            Action::Array(items) => self.nested(|decoder| decoder.array(*items))?,
            Action::Map(values) => self.nested(|decoder| decoder.map(*values))?,
            Action::Record(record) => self.nested(|decoder| decoder.record(record))?,
            Action::Branches(branches) => {
                let (number, index) = self.index()?;
                let branch = *branches.get(index).ok_or(DecodeError::Index(number))?;
                self.value(branch)?
            }
            Action::IntoBranch(index, action) => Value::Union(*index, Box::new(self.value(*action)?)),
            Action::Fail(reason) => return Err(DecodeError::Unreadable(reason.clone())),
        })
    }

    /// Goes down a level of arrays, maps and records. A union is not one: none is directly in another.
    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.levels = self.levels.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let read = read(self)?;
        self.levels += 1;
        Ok(read)
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = self.input.bytes()?;
        self.charge(bytes.len())?;
        Ok(bytes)
    }

    /// A number as it was written, and as an index, which is beyond any list if the number is negative.
    fn index(&mut self) -> Result<(i64, usize), DecodeError> {
        let number = self.input.long()?;
        Ok((number, usize::try_from(number).unwrap_or(usize::MAX)))
    }

    fn array(&mut self, items: ActionId) -> Result<Value, DecodeError> {
        let mut values = Vec::new();
        loop {
            match self.input.block()? {
                0 => return Ok(Value::Array(values)),
                count => {
                    for _ in 0..count {
                        values.push(self.value(items)?);
                    }
                }
            }
        }
    }

    /// Of a key that comes twice the last value counts, as in the reference.
    fn map(&mut self, values_action: ActionId) -> Result<Value, DecodeError> {
        let mut values = BTreeMap::new();
        loop {
            match self.input.block()? {
                0 => return Ok(Value::Map(values.into_iter().collect())),
                count => {
                    for _ in 0..count {
                        let key = self.input.text()?;
                        self.charge(size_of::<String>() + key.len())?;
                        let key = key.to_owned();
                        values.insert(key, self.value(values_action)?);
                    }
                }
            }
        }
    }

    fn record(&mut self, record: &'a RecordAction) -> Result<Value, DecodeError> {
        self.charge(record.fields * size_of::<Value>())?;
        let mut fields = vec![Value::Null; record.fields];
        for step in &record.steps {
            match step {
                FieldStep::Read(position, action) => fields[*position] = self.value(*action)?,
                FieldStep::Skip(skipped) => self.skip(*skipped)?,
            }
        }
        for (position, default) in &record.defaults {
            self.charge(default.size())?;
            fields[*position] = Value::clone(default);
        }
        Ok(Value::Record(fields))
    }

    /// Passes over a value of the writer that the reader does not have.
    fn skip(&mut self, id: TypeId) -> Result<(), DecodeError> {
        // Time, not memory: a few bytes can be as many nulls as a long counts.
        self.charge(1)?;
        let writer = &self.plan.writer;
        match writer.get(id) {
            Type::Null => {}
            Type::Boolean => drop(self.input.boolean()?),
            Type::Int(_) => drop(self.input.int()?),
            Type::Long(_) => drop(self.input.long()?),
            Type::Float => drop(self.input.take(4)?),
            Type::Double => drop(self.input.take(8)?),
            Type::Bytes(_) | Type::String(_) => drop(self.input.bytes()?),
            Type::Fixed(it) => drop(self.input.take(it.size)?),
            Type::Enum(it) => {
                let (number, index) = self.index()?;
                if index >= it.symbols.len() {
                    return Err(DecodeError::Index(number));
                }
            }
            Type::Array(items) => {
                self.nested(|decoder| decoder.skip_blocks(|decoder| decoder.skip(*items)))?
            }
            Type::Map(values) => self.nested(|decoder| {
                decoder.skip_blocks(|decoder| {
                    decoder.input.bytes()?;
                    decoder.skip(*values)
                })
            })?,
            Type::Union(branches) => {
                let (number, index) = self.index()?;
                let branch = *branches.get(index).ok_or(DecodeError::Index(number))?;
                self.skip(branch)?;
            }
            Type::Record(record) => {
                self.nested(|decoder| {
                    record.fields.iter().try_for_each(|field| decoder.skip(field.field_type))
                })?;
            }
        }
        Ok(())
    }

    fn skip_blocks(
        &mut self,
        mut skip: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            match self.input.block()? {
                0 => return Ok(()),
                count => (0..count).try_for_each(|_| skip(self))?,
            }
        }
    }
}
