//! Avro bytes to plain JSON in its canonical form, by the schema they were written with.

use serde_json::{Map, Value};

use crate::decimal::Decimal;
use crate::layout::{DecimalType, Layout, Record, Shape, UuidForm};
use crate::limits::{MAX_DEPTH, MAX_VALUES};
use crate::mismatch::Mismatch;
use crate::scalar;

/// Decodes an event. What is left over after it is an error.
pub(crate) fn decode(layout: &Layout, avro: &[u8]) -> Result<Value, Mismatch> {
    decode_part(layout, &Shape::Record(Layout::EVENT), avro)
}

/// Decodes a value of a type within `layout`.
pub(crate) fn decode_part(layout: &Layout, shape: &Shape, avro: &[u8]) -> Result<Value, Mismatch> {
    let mut decoder = Decoder { layout, rest: avro, values: 0 };
    let json = decoder.value(shape, 0)?;
    match decoder.rest.len() {
        0 => Ok(json),
        left => Err(Mismatch::new(format!("{left} bytes are left over"))),
    }
}

struct Decoder<'l, 'a> {
    layout: &'l Layout,
    rest: &'a [u8],
    values: usize,
}

impl<'a> Decoder<'_, 'a> {
    fn value(&mut self, shape: &Shape, depth: usize) -> Result<Value, Mismatch> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Mismatch::new(format!("more than {MAX_VALUES} values")));
        }
        if depth > MAX_DEPTH {
            return Err(Mismatch::new(format!("nested deeper than {MAX_DEPTH}")));
        }
        match shape {
            Shape::Null => Ok(Value::Null),
            Shape::Boolean => match self.bytes(1)? {
                [0] => Ok(Value::Bool(false)),
                [1] => Ok(Value::Bool(true)),
                _ => Err(Mismatch::new("a boolean that is neither 0 nor 1")),
            },
            Shape::Int => Ok(self.int()?.into()),
            Shape::Long => Ok(scalar::long_to_json(self.varint()?)),
            Shape::Float => Ok(scalar::float_to_json(f32::from_le_bytes(self.array_of()?))),
            Shape::Double => Ok(scalar::double_to_json(f64::from_le_bytes(self.array_of()?))),
            Shape::Bytes => Ok(scalar::bytes_to_json(self.block()?)),
            Shape::String => Ok(self.text()?.into()),
            Shape::Fixed(fixed) => Ok(scalar::bytes_to_json(self.bytes(fixed.size)?)),
            Shape::Enum(an_enum) => {
                let index = self.length()?;
                let symbol = an_enum.symbols.get(index);
                let unknown = || Mismatch::new(format!("{} has no symbol {index}", an_enum.name.full));
                Ok(symbol.ok_or_else(unknown)?.as_str().into())
            }
            Shape::Array(items) => self.array(items, depth),
            Shape::Map(values) => self.map(values, depth),
            Shape::Record(index) => self.record(&self.layout.records[*index], depth),
            Shape::Union(union) => {
                let index = self.length()?;
                let branch = union.branches.get(index);
                let branch =
                    branch.ok_or_else(|| Mismatch::new(format!("the union has no branch {index}")))?;
                self.value(branch, depth + 1)
            }
            Shape::Decimal(decimal) => self.decimal(decimal),
            Shape::Uuid(form) => self.uuid(*form),
            Shape::Date => scalar::date_to_json(self.int()?),
            Shape::TimeOfDay(unit) => scalar::time_of_day_to_json(self.varint()?, *unit),
            Shape::Timestamp(unit) => scalar::timestamp_to_json(self.varint()?, *unit),
            Shape::LocalTimestamp(unit) => scalar::local_timestamp_to_json(self.varint()?, *unit),
        }
    }

    fn record(&mut self, record: &Record, depth: usize) -> Result<Value, Mismatch> {
        let mut object = Map::new();
        for field in &record.fields {
            let value = self.value(&field.shape, depth + 1);
            let value = value.map_err(|mismatch| mismatch.in_field(&field.name))?;
            object.insert(field.name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn array(&mut self, items: &Shape, depth: usize) -> Result<Value, Mismatch> {
        let mut array = Vec::new();
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(Value::Array(array));
            }
            for _ in 0..count {
                let item = self.value(items, depth + 1);
                let index = array.len();
                array.push(item.map_err(|mismatch| mismatch.in_item(index))?);
            }
        }
    }

    fn map(&mut self, values: &Shape, depth: usize) -> Result<Value, Mismatch> {
        let mut object = Map::new();
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(Value::Object(object));
            }
            for _ in 0..count {
                let key = self.text()?.to_owned();
                let value = self.value(values, depth + 1).map_err(|mismatch| mismatch.in_key(&key))?;
                object.insert(key, value);
            }
        }
    }

    /// The number of items in the next block. A negative one is followed by the block's size in bytes, for
    /// readers that skip it.
    fn block_count(&mut self) -> Result<u64, Mismatch> {
        let count = self.varint()?;
        if count < 0 {
            self.varint()?;
        }
        Ok(count.unsigned_abs())
    }

    fn decimal(&mut self, of: &DecimalType) -> Result<Value, Mismatch> {
        let bytes = match &of.fixed {
            Some(fixed) => self.bytes(fixed.size)?,
            None => self.block()?,
        };
        decimal(bytes, of)
    }

    fn uuid(&mut self, form: UuidForm) -> Result<Value, Mismatch> {
        let bytes = match form {
            UuidForm::Text => {
                let text = self.text()?.to_owned();
                return scalar::uuid(&text.into()).map(|uuid| uuid.hyphenated().to_string().into());
            }
            UuidForm::Bytes => self.block()?,
            UuidForm::Fixed => self.bytes(16)?,
        };
        let uuid = uuid::Uuid::from_slice(bytes).map_err(|error| Mismatch::new(error.to_string()))?;
        Ok(uuid.hyphenated().to_string().into())
    }

    fn text(&mut self) -> Result<&'a str, Mismatch> {
        std::str::from_utf8(self.block()?).map_err(|error| Mismatch::new(format!("a string: {error}")))
    }

    fn block(&mut self) -> Result<&'a [u8], Mismatch> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn length(&mut self) -> Result<usize, Mismatch> {
        let length = self.varint()?;
        usize::try_from(length).map_err(|_| Mismatch::new(format!("{length} is no length or index")))
    }

    fn int(&mut self) -> Result<i32, Mismatch> {
        let number = self.varint()?;
        i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} does not fit an int (32 bits)")))
    }

    fn varint(&mut self) -> Result<i64, Mismatch> {
        let mut zigzag: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array_of()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            zigzag |= bits << shift;
            if byte < 0x80 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err(Mismatch::new("a number of more than 64 bits"))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Mismatch> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(Mismatch::new("the bytes end too early"));
        };
        self.rest = rest;
        Ok(*bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Mismatch> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(Mismatch::new("the bytes end too early"));
        };
        self.rest = rest;
        Ok(bytes)
    }
}

/// A decimal from its big-endian two's complement.
pub(crate) fn decimal(bytes: &[u8], of: &DecimalType) -> Result<Value, Mismatch> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut wide = [sign; 16];
    let (extra, significant) = bytes.split_at(bytes.len().saturating_sub(wide.len()));
    let start = wide.len() - significant.len();
    wide[start..].copy_from_slice(significant);
    let number = Decimal { unscaled: i128::from_be_bytes(wide), scale: of.scale };
    let extends_the_sign = extra.iter().all(|byte| *byte == sign) && (wide[0] ^ sign) < 0x80;
    if bytes.is_empty() || !extends_the_sign || !number.fits(of.precision) {
        return Err(Mismatch::new(format!("no decimal of at most {} digits", of.precision)));
    }
    Ok(number.to_string().into())
}
