//! The bytes of a record as a datum.

use super::datum::Datum;
use super::schema::{Schema, Type, UuidForm};

/// Values that a record may have; a few bytes can claim any number of those that take none.
const MOST_VALUES: usize = 16_000_000;

/// How deeply values may be nested: an event of fewer than 128 levels has at most four times as many.
const DEEPEST: usize = 512;

impl Schema {
    /// Decodes a datum; all its bytes must be used.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Datum, String> {
        let mut input = Input { schema: self, rest: bytes, values: 0, depth: 0 };
        let datum = input.value(&self.root)?;
        match input.rest.len() {
            0 => Ok(datum),
            left => Err(format!("{left} bytes are left over")),
        }
    }
}

struct Input<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
    values: usize,
    depth: usize,
}

impl<'a> Input<'a> {
    fn value(&mut self, as_type: &'a Type) -> Result<Datum, String> {
        self.values += 1;
        self.depth += 1;
        if self.values > MOST_VALUES || self.depth > DEEPEST {
            return Err("there are too many values, or too deep ones".to_owned());
        }
        let datum = self.of_type(as_type)?;
        self.depth -= 1;
        Ok(datum)
    }

    fn of_type(&mut self, as_type: &'a Type) -> Result<Datum, String> {
        Ok(match as_type {
            Type::Null => Datum::Null,
            Type::Boolean => match self.take(1)? {
                [0] => Datum::Bool(false),
                [1] => Datum::Bool(true),
                _ => return Err("a boolean is neither 0 nor 1".to_owned()),
            },
            Type::Int | Type::Date => self.int()?,
            Type::TimeOfDay(unit) if unit.0 == 1_000_000 => self.int()?,
            Type::Long | Type::TimeOfDay(_) | Type::Timestamp(_) | Type::LocalTimestamp(_) => {
                Datum::Integer(self.long()?)
            }
            Type::Float => Datum::Float(f32::from_le_bytes(self.array()?).into()),
            Type::Double => Datum::Float(f64::from_le_bytes(self.array()?)),
            Type::Text | Type::Uuid(UuidForm::Text) => Datum::Text(self.text()?),
            Type::Bytes => Datum::Bytes(self.block()?.to_vec()),
            Type::Fixed(size) => Datum::Bytes(self.take(*size)?.to_vec()),
            Type::Uuid(UuidForm::Fixed) => Datum::Bytes(self.take(16)?.to_vec()),
            Type::Enum { symbols, .. } => {
                let index = self.length()?;
                let symbol = symbols.get(index).ok_or_else(|| format!("there is no symbol {index}"))?;
                Datum::Text(symbol.clone())
            }
            Type::Decimal { scale, size, .. } => {
                let bytes = match size {
                    Some(size) => self.take(*size)?,
                    None => self.block()?,
                };
                Datum::Decimal(unscaled(bytes).ok_or("a decimal has more than 38 digits")?, *scale)
            }
            Type::Record(index) => {
                let fields = self.schema.records[*index].fields.iter();
                let fields = fields.map(|field| Ok((field.name.clone(), self.value(&field.as_type)?)));
                Datum::Record(fields.collect::<Result<_, String>>()?)
            }
            Type::Array(items) => {
                let mut list = Vec::new();
                self.blocks(|input| {
                    list.push(input.value(items)?);
                    Ok(())
                })?;
                Datum::List(list)
            }
            Type::Map(values) => {
                let mut entries = Vec::new();
                self.blocks(|input| {
                    entries.push((input.text()?, input.value(values)?));
                    Ok(())
                })?;
                Datum::Map(entries)
            }
            Type::Union(branches) => {
                let index = self.length()?;
                let branch = branches.get(index).ok_or_else(|| format!("there is no branch {index}"))?;
                Datum::Branch(index, Box::new(self.value(branch)?))
            }
        })
    }

    fn int(&mut self) -> Result<Datum, String> {
        let number = self.long()?;
        i32::try_from(number).map(|_| Datum::Integer(number)).map_err(|_| format!("{number} is not an int"))
    }

    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let count = self.long()?;
            if count < 0 {
                let _size = self.long()?;
            }
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("the bytes end too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "the bytes end too early".to_owned())
    }

    /// Groups of seven bits, the lowest first; the lowest bit of all is the sign.
    fn long(&mut self) -> Result<i64, String> {
        let mut bits: u128 = 0;
        for place in 0..10 {
            let [byte] = self.array()?;
            bits |= u128::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let bits = u64::try_from(bits).map_err(|_| "a number has more than 64 bits")?;
                let magnitude = (bits >> 1).cast_signed();
                return Ok(if bits & 1 == 1 { -magnitude - 1 } else { magnitude });
            }
        }
        Err("a number has more than 64 bits".to_owned())
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("{length} is not a length"))
    }

    fn block(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, String> {
        let bytes = self.block()?.to_vec();
        String::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
    }
}

/// A number in two's complement, the highest byte first, if it has at most 128 bits.
pub(super) fn unscaled(bytes: &[u8]) -> Option<i128> {
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let sign = if is_negative { 0xff } else { 0 };
    let (more, last) = bytes.split_at(bytes.len().saturating_sub(16));
    let keeps_sign = last.first().is_none_or(|first| (first & 0x80 != 0) == is_negative);
    if more.iter().any(|byte| *byte != sign) || !keeps_sign {
        return None;
    }
    let mut whole = [sign; 16];
    whole[16 - last.len()..].copy_from_slice(last);
    Some(i128::from_be_bytes(whole))
}
