//! Plain JSON to Avro bytes, in one walk over value and schema.

use crate::layout::shape::{DecimalType, Enum, Fixed, Shape, TimeUnit, Union, UuidForm};
use crate::layout::types::{DefaultValue, Layout, Names, UnknownFields};
use crate::limits::{MAX_EVENT_BYTES, MAX_VALUES};
use crate::mapping::decimal::Decimal;
use crate::mapping::decode::too_many_values;
use crate::mapping::json::Json;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::{number, text, time};

/// An event's Avro encoding.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) avro: Vec<u8>,
    /// Whether the JSON was already in the form that decoding the bytes would give: no default taken, each
    /// value written in its one canonical way.
    pub(crate) canonical: bool,
    /// Fields that the schema does not have and that were left out.
    pub(crate) dropped_fields: usize,
    /// How many values it has, as [`MAX_VALUES`] counts them.
    pub(crate) values: usize,
}

/// Checks the JSON against the event's schema and encodes it.
pub(crate) fn encode(layout: &Layout, json: &Json<'_>, names: Names) -> Result<Encoded, Mismatch> {
    let mut encoder = Encoder::new(layout, names, Vec::with_capacity(256));
    encoder.value(&Shape::Record(Layout::EVENT), json)?;
    Ok(encoder.into_encoded())
}

/// Encodes a value of a type within `layout`, of which the records it refers to must be complete. Fields have
/// their names in Avro.
pub(crate) fn encode_part(layout: &Layout, shape: &Shape, json: &Json<'_>) -> Result<Encoded, Mismatch> {
    let mut encoder = Encoder::new(layout, Names::Avro, Vec::new());
    encoder.value(shape, json)?;
    Ok(encoder.into_encoded())
}

pub(crate) struct Encoder<'l> {
    pub(crate) layout: &'l Layout,
    pub(crate) names: Names,
    pub(crate) avro: Vec<u8>,
    pub(crate) canonical: bool,
    pub(crate) dropped_fields: usize,
    /// What the innermost record does with unknown fields.
    pub(crate) unknown_fields: UnknownFields,
    /// Where in `avro` the event begins.
    start: usize,
    values: usize,
}

impl<'l> Encoder<'l> {
    pub(crate) fn new(layout: &'l Layout, names: Names, avro: Vec<u8>) -> Self {
        let unknown_fields = UnknownFields::Error;
        let start = avro.len();
        Self { layout, names, avro, canonical: true, dropped_fields: 0, unknown_fields, start, values: 0 }
    }

    fn into_encoded(self) -> Encoded {
        let Self { avro, canonical, dropped_fields, values, .. } = self;
        Encoded { avro, canonical, dropped_fields, values }
    }

    /// Counts values as they are counted when they are read.
    pub(crate) fn count(&mut self, values: usize) -> Result<(), Mismatch> {
        self.values += values;
        if self.values > MAX_VALUES { Err(too_many_values()) } else { Ok(()) }
    }

    /// Checks the size before bytes are written that the JSON does not have.
    fn check_size(&self, added: usize) -> Result<(), Mismatch> {
        if self.avro.len() - self.start + added > MAX_EVENT_BYTES {
            Err(Mismatch::new(format!("more than {MAX_EVENT_BYTES} bytes in Avro")))
        } else {
            Ok(())
        }
    }

    pub(crate) fn default(&mut self, default: &DefaultValue) -> Result<(), Mismatch> {
        self.check_size(default.avro.len())?;
        self.count(default.values)?;
        self.avro.extend_from_slice(&default.avro);
        Ok(())
    }

    // The depth of the recursion is bounded by that of the JSON, which its parser bounds.
    pub(crate) fn value(&mut self, shape: &Shape, json: &Json<'_>) -> Result<(), Mismatch> {
        self.count(1)?;
        match shape {
            Shape::Null => match json {
                Json::Null => {}
                _ => return Err(Mismatch::expected("null", json)),
            },
            Shape::Boolean => match json {
                Json::Bool(flag) => self.avro.push(u8::from(*flag)),
                _ => return Err(Mismatch::expected("a boolean", json)),
            },
            Shape::Int => {
                let number = number::int(json)?;
                self.canonical &= number::is_whole(json);
                self.varint(number.into());
            }
            Shape::Long => {
                let number = number::long(json)?;
                self.canonical &= number::is_canonical_long(json, number);
                self.varint(number);
            }
            Shape::Float => {
                let number = number::float(json)?;
                self.canonical &= number::is_canonical_float(json, number);
                self.avro.extend_from_slice(&number.to_le_bytes());
            }
            Shape::Double => {
                let number = number::double(json)?;
                self.canonical &= number::is_canonical_double(json);
                self.avro.extend_from_slice(&number.to_le_bytes());
            }
            Shape::Bytes => {
                let bytes = self.bytes(json)?;
                self.block(&bytes);
            }
            Shape::String => self.block(text::text(json, "a string")?.as_bytes()),
            Shape::Fixed(fixed) => self.fixed(fixed, json)?,
            Shape::Enum(schema) => self.symbol(schema, json)?,
            Shape::Array(items) => self.array(items, json)?,
            Shape::Map(values) => self.map(values, json)?,
            Shape::Record(index) => match json {
                Json::Object(members) => {
                    let layout = self.layout;
                    self.record(&layout.records[*index], members)?;
                }
                _ => return Err(Mismatch::expected("an object", json)),
            },
            Shape::Union(union) => self.union(union, json)?,
            Shape::Decimal(decimal) => self.decimal(decimal, json)?,
            Shape::Uuid(form) => self.uuid(*form, json)?,
            Shape::Date => {
                self.varint(time::date(json)?.into());
                self.canonical &= json.as_str().is_some_and(|text| text.len() == "2010-12-01".len());
            }
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

    fn symbol(&mut self, schema: &Enum, json: &Json<'_>) -> Result<(), Mismatch> {
        let Json::String(symbol) = json else {
            return Err(Mismatch::expected(&format!("a symbol of {}", schema.name.full), json));
        };
        let index = schema.symbols.iter().position(|known| known == symbol);
        let index = index.ok_or_else(|| {
            let (shown, known) = (shortened(symbol), schema.symbols.join(", "));
            Mismatch::new(format!("{shown:?} is not a symbol of {} ({known})", schema.name.full))
        })?;
        self.length(index);
        Ok(())
    }

    fn array(&mut self, items: &Shape, json: &Json<'_>) -> Result<(), Mismatch> {
        let array = match json {
            Json::Array(array) => array,
            json => {
                self.canonical = false;
                annotated_array(json).ok_or_else(|| Mismatch::expected("an array", json))?
            }
        };
        if !array.is_empty() {
            self.length(array.len());
            for (index, item) in array.iter().enumerate() {
                self.value(items, item).map_err(|mismatch| mismatch.in_item(index))?;
            }
        }
        self.avro.push(0);
        Ok(())
    }

    fn map(&mut self, values: &Shape, json: &Json<'_>) -> Result<(), Mismatch> {
        let Json::Object(members) = json else { return Err(Mismatch::expected("an object", json)) };
        // A type name that a serializer put among the entries fits a map of text, and no other.
        let drops_type = self.unknown_fields == UnknownFields::Drop && !values.is_text();
        let is_type = |key: &str, value: &Json<'_>| drops_type && key == "$type" && value.as_str().is_some();
        let mut entries: Vec<_> = members.iter().filter(|(key, value)| !is_type(key, value)).collect();
        // Equal maps have equal bytes, whatever the order in the text.
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let dropped = members.len() - entries.len();
        self.dropped_fields += dropped;
        self.canonical &= dropped == 0;
        if !entries.is_empty() {
            self.length(entries.len());
            for (key, value) in entries {
                self.block(key.as_bytes());
                self.value(values, value).map_err(|mismatch| mismatch.in_key(key))?;
            }
        }
        self.avro.push(0);
        Ok(())
    }

    fn union(&mut self, union: &Union, json: &Json<'_>) -> Result<(), Mismatch> {
        let special = json.as_str().is_some_and(number::is_special);
        let Some(index) = union.branch_of(json.kind(), special) else {
            let branches: Vec<_> = union.branches.iter().map(Shape::describe).collect();
            return Err(Mismatch::expected(&format!("one of {}", branches.join(", ")), json));
        };
        self.length(index);
        match &union.branches[index] {
            // Text is another branch there, so every long is written as a number.
            Shape::Long if union.has_several_kinds() => {
                self.count(1)?;
                let number = number::long(json)?;
                self.canonical &= number::is_whole(json);
                self.varint(number);
                Ok(())
            }
            branch => self.value(branch, json),
        }
    }

    fn bytes(&mut self, json: &Json<'_>) -> Result<Vec<u8>, Mismatch> {
        self.canonical &= json.as_str().is_some();
        text::bytes(json)
    }

    fn fixed(&mut self, fixed: &Fixed, json: &Json<'_>) -> Result<(), Mismatch> {
        let bytes = self.bytes(json)?;
        if bytes.len() != fixed.size {
            let (found, name, size) = (bytes.len(), &fixed.name.full, fixed.size);
            return Err(Mismatch::new(format!("{found} bytes, but {name} has {size}")));
        }
        self.avro.extend_from_slice(&bytes);
        Ok(())
    }

    fn decimal(&mut self, decimal: &DecimalType, json: &Json<'_>) -> Result<(), Mismatch> {
        // Between versions decimals are strings, so this is a double that a rule calculated.
        if self.names == Names::Avro && matches!(json, Json::Number(number) if number.is_float()) {
            let problem = "a decimal with a fraction must be a string: a double is not exact";
            return Err(Mismatch::new(problem.to_owned()));
        }
        let number = number::decimal(json, decimal)?;
        self.canonical &= json.as_str().is_some_and(|text| is_canonical(text, number));
        if let Some(fixed) = &decimal.fixed {
            self.check_size(fixed.size)?;
        }
        append_decimal(&mut self.avro, decimal, number)
    }

    fn uuid(&mut self, form: UuidForm, json: &Json<'_>) -> Result<(), Mismatch> {
        let text = text::text(json, "a UUID")?;
        let uuid = text::uuid(text)?;
        self.canonical &= !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match form {
            UuidForm::Text => {
                let mut buffer = uuid::Uuid::encode_buffer();
                self.block(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
            }
            UuidForm::Fixed => self.avro.extend_from_slice(uuid.as_bytes()),
        }
        Ok(())
    }

    fn canonical_length(&mut self, json: &Json<'_>, without_decimals: usize, unit: TimeUnit) {
        self.canonical &= json.as_str().is_some_and(|text| text.len() == without_decimals + unit.digits());
    }

    pub(crate) fn block(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.avro.extend_from_slice(bytes);
    }

    pub(crate) fn length(&mut self, length: usize) {
        // A length is one of what is in memory, far below 2^63.
        self.varint(length as i64);
    }

    fn varint(&mut self, number: i64) {
        append_varint(&mut self.avro, number);
    }
}

/// Avro's form of int and long.
pub(crate) fn append_varint(avro: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)) as u64;
    while zigzag >= 0x80 {
        avro.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    avro.push(zigzag as u8);
}

/// Avro's form of a decimal that has the scale of its type.
pub(crate) fn append_decimal(avro: &mut Vec<u8>, of: &DecimalType, number: Decimal) -> Result<(), Mismatch> {
    let bytes = number.unscaled.to_be_bytes();
    // The sign's extension bytes but for one whole sign bit are left out.
    let sign = if number.unscaled < 0 { 0xff } else { 0 };
    let mut start = 0;
    while start < bytes.len() - 1 && bytes[start] == sign && (bytes[start + 1] ^ sign) < 0x80 {
        start += 1;
    }
    let significant = &bytes[start..];
    let Some(fixed) = &of.fixed else {
        append_varint(avro, significant.len() as i64);
        avro.extend_from_slice(significant);
        return Ok(());
    };
    let Some(padding) = fixed.size.checked_sub(significant.len()) else {
        return Err(Mismatch::new(format!("{number} does not fit {} bytes", fixed.size)));
    };
    avro.resize(avro.len() + padding, sign);
    avro.extend_from_slice(significant);
    Ok(())
}

/// Newtonsoft's array with a type name: `{"$type": …, "$values": […]}`.
fn annotated_array<'j, 'a>(json: &'j Json<'a>) -> Option<&'j Vec<Json<'a>>> {
    match json {
        Json::Object(members) => match members.as_slice() {
            [(annotation, Json::String(_)), (key, Json::Array(items))]
                if annotation == "$type" && key == "$values" =>
            {
                Some(items)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether the text is what [`Decimal`] would write for the number, which it is known to mean.
fn is_canonical(text: &str, number: Decimal) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    fraction.len() == number.scale as usize
        && (whole.len() == 1 || !whole.starts_with('0'))
        && !(number.unscaled == 0 && text.starts_with('-'))
        && !text.contains(['e', 'E'])
}
