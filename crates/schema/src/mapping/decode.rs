//! Avro bytes, read by the schema they were written with, into whatever reads the event's plain JSON.
//!
//! To serde the bytes look like the event's canonical JSON: decimals, dates and times are text, bytes are base64,
//! a union is its value. So a type that reads the JSON reads the Avro, without the JSON in between.

use std::marker::PhantomData;

use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess,
};
use serde::de::{Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::layout::shape::{DecimalType, Shape, UuidForm};
use crate::layout::types::{Field, Layout, Names};
use crate::limits::{MAX_DEPTH, MAX_VALUES};
use crate::mapping::decimal::Decimal;
use crate::mapping::input::Input;
use crate::mapping::map_key::MapKey;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{number, text, time};

/// Reads an event. Bytes after it are an error.
pub(crate) fn read<'de, S: DeserializeSeed<'de>>(
    layout: &Layout,
    avro: &'de [u8],
    names: Names,
    seed: S,
) -> Result<S::Value, Mismatch> {
    read_part(layout, &Shape::Record(Layout::EVENT), avro, names, seed)
}

/// An event as plain JSON in its canonical form.
pub(crate) fn decode(layout: &Layout, avro: &[u8], names: Names) -> Result<Value, Mismatch> {
    read(layout, avro, names, PhantomData)
}

fn read_part<'de, S: DeserializeSeed<'de>>(
    layout: &Layout,
    shape: &Shape,
    avro: &'de [u8],
    names: Names,
    seed: S,
) -> Result<S::Value, Mismatch> {
    let mut walk = Walk { layout, names, input: Input::new(avro), values: 0, open: 0 };
    let value = seed.deserialize(Part { walk: &mut walk, shape, several_kinds: false, depth: 0 })?;
    if walk.open > 0 {
        return Err(Mismatch::new(
            "the reader continued after an error within a list or a record".to_owned(),
        ));
    }
    walk.input.end()?;
    Ok(value)
}

pub(super) struct Walk<'l, 'de> {
    pub(super) layout: &'l Layout,
    names: Names,
    pub(super) input: Input<'de>,
    values: usize,
    /// Arrays, maps and records that were begun and not read to their ends. Where a reader gave one up, the meaning
    /// of the bytes after it is unknown.
    open: usize,
}

impl Walk<'_, '_> {
    /// Counts a value at a level of arrays and objects: no more than can be written.
    pub(super) fn enter(&mut self, shape: &Shape, depth: usize) -> Result<(), Mismatch> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(too_many_values());
        }
        let is_nested = matches!(shape, Shape::Array(_) | Shape::Map(_) | Shape::Record(_));
        if depth + usize::from(is_nested) >= MAX_DEPTH {
            return Err(Mismatch::new(format!("nested {MAX_DEPTH} levels deep or deeper")));
        }
        Ok(())
    }
}

/// A value that comes next.
struct Part<'w, 'l, 'de> {
    walk: &'w mut Walk<'l, 'de>,
    shape: &'l Shape,
    /// Whether it is in a union of several kinds, where a long is always a number.
    several_kinds: bool,
    depth: usize,
}

impl<'l, 'de> Part<'_, 'l, 'de> {
    fn enter(&mut self) -> Result<(), Mismatch> {
        self.walk.enter(self.shape, self.depth)
    }

    /// Goes from a union to its branch. A branch is not a level of nesting, as it is not one in JSON: what can be
    /// written must be readable.
    fn branch(mut self) -> Result<Self, Mismatch> {
        let Shape::Union(union) = self.shape else { return Ok(self) };
        self.enter()?;
        self.several_kinds = union.has_several_kinds();
        self.shape = self.walk.input.branch(union)?;
        Ok(self)
    }

    fn symbol(&mut self, symbols: &'l [String], name: &str) -> Result<&'l str, Mismatch> {
        let index = self.walk.input.length()?;
        let symbol = symbols.get(index).map(String::as_str);
        symbol.ok_or_else(|| Mismatch::new(format!("{name} has no symbol {index}")))
    }

    fn uuid(&mut self, form: UuidForm) -> Result<uuid::Uuid, Mismatch> {
        let bytes = match form {
            UuidForm::Text => return text::uuid(self.walk.input.text()?),
            UuidForm::Fixed => self.walk.input.bytes(16)?,
        };
        uuid::Uuid::from_slice(bytes).map_err(|error| Mismatch::new(error.to_string()))
    }
}

impl<'de> Deserializer<'de> for Part<'_, '_, 'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let mut part = self.branch()?;
        part.enter()?;
        part.walk.open +=
            usize::from(matches!(part.shape, Shape::Array(_) | Shape::Map(_) | Shape::Record(_)));
        let input = &mut part.walk.input;
        match part.shape {
            Shape::Null => visitor.visit_unit(),
            Shape::Boolean => visitor.visit_bool(input.boolean()?),
            Shape::Int => visit_number(visitor, input.int()?.into()),
            Shape::Long => match input.long()? {
                number if number::is_safe(number) || part.several_kinds => visit_number(visitor, number),
                number => visitor.visit_string(number.to_string()),
            },
            Shape::Float => visit_double(visitor, number::widened(f32::from_le_bytes(input.array()?))),
            Shape::Double => visit_double(visitor, f64::from_le_bytes(input.array()?)),
            Shape::Bytes => visitor.visit_string(text::bytes_text(input.block()?)),
            Shape::String => visitor.visit_borrowed_str(input.text()?),
            Shape::Fixed(fixed) => visitor.visit_string(text::bytes_text(input.bytes(fixed.size)?)),
            Shape::Enum(an_enum) => visitor.visit_str(part.symbol(&an_enum.symbols, &an_enum.name.full)?),
            Shape::Array(items) => {
                let mut items = Items::new(part.walk, items, part.depth + 1)?;
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                items.walk.open -= 1;
                Ok(value)
            }
            Shape::Map(values) => {
                let mut entries = Entries { items: Items::new(part.walk, values, part.depth + 1)?, key: "" };
                let value = visitor.visit_map(&mut entries)?;
                entries.items.end()?;
                entries.items.walk.open -= 1;
                Ok(value)
            }
            Shape::Record(index) => {
                let fields = part.walk.layout.records[*index].fields.iter();
                let mut fields = Fields { walk: part.walk, fields, field: None, depth: part.depth + 1 };
                let value = visitor.visit_map(&mut fields)?;
                match fields.fields.len() + usize::from(fields.field.is_some()) {
                    0 => {
                        fields.walk.open -= 1;
                        Ok(value)
                    }
                    left => Err(Mismatch::new(format!("{left} fields too many"))),
                }
            }
            // An Avro union holds no other directly.
            Shape::Union(_) => part.deserialize_any(visitor),
            Shape::Decimal(of) => {
                let bytes = match &of.fixed {
                    Some(fixed) => input.bytes(fixed.size)?,
                    None => input.block()?,
                };
                visitor.visit_string(decimal(bytes, of)?)
            }
            Shape::Uuid(form) => {
                let mut text = uuid::Uuid::encode_buffer();
                visitor.visit_str(part.uuid(*form)?.hyphenated().encode_lower(&mut text))
            }
            Shape::Date => visitor.visit_string(time::date_text(input.int()?)?),
            Shape::TimeOfDay(unit) => visitor.visit_string(time::time_of_day_text(input.long()?, *unit)?),
            Shape::Timestamp(unit) => visitor.visit_string(time::timestamp_text(input.long()?, *unit)?),
            Shape::LocalTimestamp(unit) => {
                visitor.visit_string(time::local_timestamp_text(input.long()?, *unit)?)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let mut part = self.branch()?;
        match part.shape {
            Shape::Null => {
                part.enter()?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(part),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.walk.skip(self.shape, self.depth)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let mut part = self.branch()?;
        if let Shape::Enum(an_enum) = part.shape {
            part.enter()?;
            let symbol = part.symbol(&an_enum.symbols, &an_enum.name.full)?;
            return visitor.visit_enum(symbol.into_deserializer());
        }
        // Text, or an object with the variant as its only key: serde_json knows the rules.
        let json = Value::deserialize(part)?;
        json.deserialize_enum(name, variants, visitor).map_err(Mismatch::custom)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier
    }
}

/// As a JSON parser does: without a sign where there is none.
fn visit_number<'de, V: Visitor<'de>>(visitor: V, number: i64) -> Result<V::Value, Mismatch> {
    match u64::try_from(number) {
        Ok(number) => visitor.visit_u64(number),
        Err(_) => visitor.visit_i64(number),
    }
}

fn visit_double<'de, V: Visitor<'de>>(visitor: V, number: f64) -> Result<V::Value, Mismatch> {
    match number::no_number(number) {
        Some(text) => visitor.visit_str(text),
        None => visitor.visit_f64(number),
    }
}

/// What an array or a map still holds.
struct Items<'w, 'l, 'de> {
    walk: &'w mut Walk<'l, 'de>,
    shape: &'l Shape,
    depth: usize,
    /// Items read before.
    count: usize,
    /// Items left in the current block; 0 only at the end.
    block: u64,
}

impl<'w, 'l, 'de> Items<'w, 'l, 'de> {
    fn new(walk: &'w mut Walk<'l, 'de>, shape: &'l Shape, depth: usize) -> Result<Self, Mismatch> {
        let block = walk.input.block_count()?;
        Ok(Self { walk, shape, depth, count: 0, block })
    }

    fn read<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let part = Part { walk: &mut *self.walk, shape: self.shape, several_kinds: false, depth: self.depth };
        let value = seed.deserialize(part)?;
        self.count += 1;
        self.block = self
            .block
            .checked_sub(1)
            .ok_or_else(|| Mismatch::new("more was read than is there".to_owned()))?;
        if self.block == 0 {
            self.block = self.walk.input.block_count()?;
        }
        Ok(value)
    }

    /// A reader of a fixed number of items must read them all.
    fn end(&self) -> Result<(), Mismatch> {
        match self.block {
            0 => Ok(()),
            _ => Err(Mismatch::new(format!("more than {} items", self.count))),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, '_, 'de> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        if self.block == 0 {
            return Ok(None);
        }
        let index = self.count;
        self.read(seed).map(Some).map_err(|mismatch| mismatch.in_item(index))
    }
}

struct Entries<'w, 'l, 'de> {
    items: Items<'w, 'l, 'de>,
    key: &'de str,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, '_, 'de> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        if self.items.block == 0 {
            return Ok(None);
        }
        self.key = self.items.walk.input.text()?;
        seed.deserialize(MapKey(self.key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let key = self.key;
        self.items.read(seed).map_err(|mismatch| mismatch.in_key(key))
    }
}

struct Fields<'w, 'l, 'de> {
    walk: &'w mut Walk<'l, 'de>,
    fields: std::slice::Iter<'l, Field>,
    /// The one whose value comes next.
    field: Option<&'l Field>,
    depth: usize,
}

impl<'l, 'de> MapAccess<'de> for &mut Fields<'_, 'l, 'de> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        if self.field.is_some() {
            return Err(Mismatch::new("a name was read before the value of the one before".to_owned()));
        }
        self.field = self.fields.next();
        let names = self.walk.names;
        // A field has at least one name.
        let name = |field: &'l Field| field.names(names).first().map_or(field.name.as_str(), String::as_str);
        self.field.map(|field| seed.deserialize(MapKey(name(field)))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let Some(field) = self.field.take() else {
            return Err(Mismatch::new("a value was read before its name"));
        };
        let part =
            Part { walk: &mut *self.walk, shape: &field.shape, several_kinds: false, depth: self.depth };
        seed.deserialize(part).map_err(|mismatch| mismatch.in_field(&field.name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

pub(crate) fn too_many_values() -> Mismatch {
    Mismatch::new(format!("more than {MAX_VALUES} values"))
}

/// The text of a decimal.
pub(crate) fn decimal(bytes: &[u8], of: &DecimalType) -> Result<String, Mismatch> {
    decimal_number(bytes, of).map(|number| number.to_string())
}

/// A decimal from its big-endian two's complement.
pub(crate) fn decimal_number(bytes: &[u8], of: &DecimalType) -> Result<Decimal, Mismatch> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut wide = [sign; 16];
    let (extra, significant) = bytes.split_at(bytes.len().saturating_sub(wide.len()));
    let start = wide.len() - significant.len();
    wide[start..].copy_from_slice(significant);
    let number = Decimal { unscaled: i128::from_be_bytes(wide), scale: of.scale };
    let extends_the_sign = extra.iter().all(|byte| *byte == sign) && (wide[0] ^ sign) < 0x80;
    if bytes.is_empty() || !extends_the_sign || !number.fits(of.precision) {
        return Err(Mismatch::new(format!("not a decimal of at most {} digits", of.precision)));
    }
    Ok(number)
}
