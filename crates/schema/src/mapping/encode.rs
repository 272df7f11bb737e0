//! Plain JSON to Avro bytes, in one walk over value and schema.

use serde_json::{Map, Value};

use crate::layout::shape::{DecimalType, Fixed, Shape, TimeUnit, Union, UuidForm};
use crate::layout::types::{Layout, Record};
use crate::mapping::decimal::Decimal;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{number, text, time};

/// An event's Avro encoding.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) avro: Vec<u8>,
    /// Whether the JSON was already in the form that decoding the bytes would give: no default taken, each
    /// value written in its one canonical way.
    pub(crate) canonical: bool,
}

/// Checks the JSON against the event's schema and encodes it.
pub(crate) fn encode(layout: &Layout, json: &Value) -> Result<Encoded, Mismatch> {
    let mut encoder = Encoder { layout, avro: Vec::with_capacity(256), canonical: true };
    encoder.value(&Shape::Record(Layout::EVENT), json)?;
    Ok(Encoded { avro: encoder.avro, canonical: encoder.canonical })
}

/// Encodes a value of a type within `layout`, of which the records it refers to must be complete.
pub(crate) fn encode_part(layout: &Layout, shape: &Shape, json: &Value) -> Result<Vec<u8>, Mismatch> {
    let mut encoder = Encoder { layout, avro: Vec::new(), canonical: true };
    encoder.value(shape, json)?;
    Ok(encoder.avro)
}

struct Encoder<'l> {
    layout: &'l Layout,
    avro: Vec<u8>,
    canonical: bool,
}

impl Encoder<'_> {
    // The depth of the recursion is bounded by that of the JSON, which its parser bounds (128).
    fn value(&mut self, shape: &Shape, json: &Value) -> Result<(), Mismatch> {
        match shape {
            Shape::Null => match json {
                Value::Null => {}
                _ => return Err(Mismatch::expected("null", json)),
            },
            Shape::Boolean => {
                let flag = json.as_bool().ok_or_else(|| Mismatch::expected("a boolean", json))?;
                self.avro.push(u8::from(flag));
            }
            Shape::Int => self.varint(number::int(json)?.into()),
            Shape::Long => {
                let number = number::long(json)?;
                self.canonical &= number::long_to_json(number).is_string() == json.is_string();
                self.varint(number);
            }
            Shape::Float => {
                let number = number::float(json)?;
                self.canonical &= number::float_to_json(number) == *json;
                self.avro.extend_from_slice(&number.to_le_bytes());
            }
            Shape::Double => {
                let number = number::double(json)?;
                self.canonical &= json.is_f64() || json.is_string();
                self.avro.extend_from_slice(&number.to_le_bytes());
            }
            Shape::Bytes => self.block(&text::bytes(json)?),
            Shape::String => self.block(text::text(json, "a string")?.as_bytes()),
            Shape::Fixed(fixed) => self.fixed(fixed, json)?,
            Shape::Enum(an_enum) => {
                let Some(symbol) = json.as_str() else {
                    return Err(Mismatch::expected(&format!("a symbol of {}", an_enum.name.full), json));
                };
                let index = an_enum.symbols.iter().position(|known| known == symbol);
                let index = index.ok_or_else(|| {
                    let known = an_enum.symbols.join(", ");
                    Mismatch::new(format!("{symbol:?} is not a symbol of {} ({known})", an_enum.name.full))
                })?;
                self.length(index);
            }
            Shape::Array(items) => self.array(items, json)?,
            Shape::Map(values) => self.map(values, json)?,
            Shape::Record(index) => {
                let object = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
                self.record(&self.layout.records[*index], object)?;
            }
            Shape::Union(union) => self.union(union, json)?,
            Shape::Decimal(decimal) => self.decimal(decimal, json)?,
            Shape::Uuid(form) => self.uuid(*form, json)?,
            Shape::Date => self.varint(time::date(json)?.into()),
            Shape::TimeOfDay(unit) => {
                self.varint(time::time_of_day(json, *unit)?);
                self.canonical_length(json, "08:26:00.".len(), *unit);
            }
            Shape::Timestamp(unit) => {
                self.varint(time::timestamp(json, *unit)?);
                self.canonical_length(json, "2010-12-01T08:26:00.Z".len(), *unit);
                let text = json.as_str().unwrap_or_default().as_bytes();
                self.canonical &= text.get(10) == Some(&b'T') && text.last() == Some(&b'Z');
            }
            Shape::LocalTimestamp(unit) => {
                self.varint(time::local_timestamp(json, *unit)?);
                self.canonical_length(json, "2010-12-01T08:26:00.".len(), *unit);
                self.canonical &= json.as_str().unwrap_or_default().as_bytes().get(10) == Some(&b'T');
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, object: &Map<String, Value>) -> Result<(), Mismatch> {
        let mut found = 0;
        for field in &record.fields {
            match (object.get(&field.name), &field.default) {
                (Some(json), _) => {
                    found += 1;
                    self.value(&field.shape, json).map_err(|mismatch| mismatch.in_field(&field.name))?;
                }
                (None, Some(default)) => {
                    self.canonical = false;
                    self.avro.extend_from_slice(&default.avro);
                }
                (None, None) => return Err(Mismatch::new("missing").in_field(&field.name)),
            }
        }
        if found == object.len() {
            return Ok(());
        }
        let unknown = object.keys().find(|key| record.fields.iter().all(|field| field.name != **key));
        let unknown = unknown.map_or("", String::as_str);
        Err(Mismatch::new(format!("{} has no such field", record.name.full)).in_field(unknown))
    }

    fn array(&mut self, items: &Shape, json: &Value) -> Result<(), Mismatch> {
        let array = json.as_array().ok_or_else(|| Mismatch::expected("an array", json))?;
        if !array.is_empty() {
            self.length(array.len());
            for (index, item) in array.iter().enumerate() {
                self.value(items, item).map_err(|mismatch| mismatch.in_item(index))?;
            }
        }
        self.avro.push(0);
        Ok(())
    }

    fn map(&mut self, values: &Shape, json: &Value) -> Result<(), Mismatch> {
        let map = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
        if !map.is_empty() {
            self.length(map.len());
            for (key, value) in map {
                self.block(key.as_bytes());
                self.value(values, value).map_err(|mismatch| mismatch.in_key(key))?;
            }
        }
        self.avro.push(0);
        Ok(())
    }

    fn union(&mut self, union: &Union, json: &Value) -> Result<(), Mismatch> {
        let Some(index) = union.branch_of(json) else {
            let branches: Vec<_> = union.branches.iter().map(Shape::describe).collect();
            return Err(Mismatch::expected(&format!("one of {}", branches.join(", ")), json));
        };
        self.length(index);
        self.value(&union.branches[index], json)
    }

    fn fixed(&mut self, fixed: &Fixed, json: &Value) -> Result<(), Mismatch> {
        let bytes = text::bytes(json)?;
        if bytes.len() != fixed.size {
            let (found, name, size) = (bytes.len(), &fixed.name.full, fixed.size);
            return Err(Mismatch::new(format!("{found} bytes, but {name} has {size}")));
        }
        self.avro.extend_from_slice(&bytes);
        Ok(())
    }

    fn decimal(&mut self, decimal: &DecimalType, json: &Value) -> Result<(), Mismatch> {
        let number = number::decimal(json, decimal)?;
        self.canonical &= json.as_str().is_some_and(|text| is_canonical(text, number));
        let bytes = number.unscaled.to_be_bytes();
        // The sign's extension bytes but for one whole sign bit are left out.
        let sign = if number.unscaled < 0 { 0xff } else { 0 };
        let mut start = 0;
        while start < bytes.len() - 1 && bytes[start] == sign && (bytes[start + 1] ^ sign) < 0x80 {
            start += 1;
        }
        let significant = &bytes[start..];
        let Some(fixed) = &decimal.fixed else {
            self.block(significant);
            return Ok(());
        };
        let Some(padding) = fixed.size.checked_sub(significant.len()) else {
            return Err(Mismatch::new(format!("{number} does not fit {} bytes", fixed.size)));
        };
        self.avro.resize(self.avro.len() + padding, sign);
        self.avro.extend_from_slice(significant);
        Ok(())
    }

    fn uuid(&mut self, form: UuidForm, json: &Value) -> Result<(), Mismatch> {
        let text = text::text(json, "a UUID")?;
        let uuid = text::uuid(text)?;
        self.canonical &= !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match form {
            UuidForm::Text => self.block(uuid.hyphenated().to_string().as_bytes()),
            UuidForm::Bytes => self.block(uuid.as_bytes()),
            UuidForm::Fixed => self.avro.extend_from_slice(uuid.as_bytes()),
        }
        Ok(())
    }

    fn canonical_length(&mut self, json: &Value, without_decimals: usize, unit: TimeUnit) {
        self.canonical &= json.as_str().is_some_and(|text| text.len() == without_decimals + unit.digits());
    }

    fn block(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.avro.extend_from_slice(bytes);
    }

    fn length(&mut self, length: usize) {
        // A length is one of what is in memory, far below 2^63.
        self.varint(length as i64);
    }

    fn varint(&mut self, number: i64) {
        let mut zigzag = ((number << 1) ^ (number >> 63)) as u64;
        while zigzag >= 0x80 {
            self.avro.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        self.avro.push(zigzag as u8);
    }
}

/// Whether the text is what [`Decimal`] would write for the number, which it is known to mean.
fn is_canonical(text: &str, number: Decimal) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    fraction.len() == number.scale as usize
        && (whole.len() == 1 || !whole.starts_with('0'))
        && !(number.unscaled == 0 && text.starts_with('-'))
}
