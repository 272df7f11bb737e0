//! Defaults: from Avro's own JSON encoding, which schema files use, to the plain mapping.

use serde_json::{Map, Value};

use crate::layout::invalid::InvalidSchema;
use crate::layout::shape::Shape;
use crate::layout::types::{DefaultValue, Layout};
use crate::mapping::decode;
use crate::mapping::encode;
use crate::mapping::json::Json;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{number, text, time};

/// A default as the schema file has it, in Avro's own JSON encoding.
pub(crate) struct RawDefault<'s> {
    pub(crate) record: usize,
    pub(crate) field: usize,
    pub(crate) json: &'s Value,
}

pub(crate) fn compile(layout: &Layout, default: &RawDefault<'_>) -> Result<DefaultValue, InvalidSchema> {
    let record = &layout.records[default.record];
    let field = &record.fields[default.field];
    let compiled = plain(layout, &field.shape, default.json).and_then(|json| {
        let encode::Encoded { avro, values, .. } =
            encode::encode_part(layout, &field.shape, &Json::from(&json))?;
        Ok(DefaultValue { avro, values })
    });
    compiled.map_err(|mismatch| {
        let place = format!("field {} of {}", field.name, record.name.full);
        InvalidSchema::new(&place, format!("its default does not fit: {mismatch}"))
    })
}

/// Logical types have the JSON of their underlying type; bytes and fixed are strings with one character per byte.
fn plain(layout: &Layout, shape: &Shape, json: &Value) -> Result<Value, Mismatch> {
    match shape {
        Shape::Bytes | Shape::Fixed(_) => Ok(text::bytes_text(&latin_1(json)?).into()),
        Shape::Decimal(decimal) => {
            let bytes = latin_1(json)?;
            decode::decimal(&bytes, decimal).map(Value::from)
        }
        Shape::Date => time::date_text(number::int(&Json::from(json))?).map(Value::from),
        Shape::TimeOfDay(unit) => {
            time::time_of_day_text(number::long(&Json::from(json))?, *unit).map(Value::from)
        }
        Shape::Timestamp(unit) => {
            time::timestamp_text(number::long(&Json::from(json))?, *unit).map(Value::from)
        }
        Shape::LocalTimestamp(unit) => {
            time::local_timestamp_text(number::long(&Json::from(json))?, *unit).map(Value::from)
        }
        Shape::Array(items) => {
            let array = json.as_array().ok_or_else(|| Mismatch::expected("an array", &Json::from(json)))?;
            array.iter().map(|item| plain(layout, items, item)).collect()
        }
        Shape::Map(values) => {
            let map = json.as_object().ok_or_else(|| Mismatch::expected("an object", &Json::from(json)))?;
            let entries = map.iter().map(|(key, value)| Ok((key.clone(), plain(layout, values, value)?)));
            Ok(Value::Object(entries.collect::<Result<Map<_, _>, Mismatch>>()?))
        }
        Shape::Record(index) => {
            let object =
                json.as_object().ok_or_else(|| Mismatch::expected("an object", &Json::from(json)))?;
            let mut converted = object.clone();
            for field in &layout.records[*index].fields {
                if let Some(value) = converted.get_mut(&field.name) {
                    *value = plain(layout, &field.shape, value)?;
                }
            }
            Ok(Value::Object(converted))
        }
        Shape::Union(union) => {
            let fits = |branch: &Shape| {
                let json = plain(layout, branch, json).ok()?;
                encode::encode_part(layout, branch, &Json::from(&json)).ok().map(|_| json)
            };
            let mut fitting = union.branches.iter().filter_map(fits);
            fitting.next().ok_or_else(|| Mismatch::new("no branch of the union takes it"))
        }
        _ => Ok(json.clone()),
    }
}

fn latin_1(json: &Value) -> Result<Vec<u8>, Mismatch> {
    let text = json
        .as_str()
        .ok_or_else(|| Mismatch::expected("a string with one character per byte", &Json::from(json)))?;
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)));
    bytes.collect::<Result<_, _>>().map_err(|_| Mismatch::new("a character beyond U+00FF is not a byte"))
}
