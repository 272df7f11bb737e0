//! Between plain JSON and CEL's values.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
};
use cel::common::value::Val;
use serde_json::{Map, Value};

use crate::layout::json_kind::JsonKind;
use crate::layout::shape::{Shape, Union};
use crate::layout::types::Layout;
use crate::mapping::json::Json;
use crate::mapping::{number, text};

/// JSON in canonical form as a rule sees it: every long is an int, also one that JSON writes as a string;
/// bytes are bytes; what the mapping writes as a string otherwise (decimals, dates, times) is that string.
pub(crate) fn to_cel<'v>(layout: &Layout, shape: &Shape, json: &'v Value) -> Box<dyn Val + 'v> {
    match (shape, json) {
        (Shape::Long, json) => match number::long(&Json::from(json)) {
            Ok(number) => Box::new(CelInt::from(number)),
            Err(_) => Box::new(CelNull),
        },
        (Shape::Bytes | Shape::Fixed(_), json) => match text::bytes(&Json::from(json)) {
            Ok(bytes) => Box::new(CelBytes::from(bytes)),
            Err(_) => Box::new(CelNull),
        },
        (Shape::Array(items), Value::Array(array)) => {
            let items: Vec<_> = array.iter().map(|item| to_cel(layout, items, item)).collect();
            Box::new(CelList::from(items))
        }
        (Shape::Map(values), Value::Object(object)) => {
            let entries = object
                .iter()
                .map(|(key, value)| (CelMapKey::from(key.as_str()), to_cel(layout, values, value)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
        (Shape::Record(index), Value::Object(object)) => {
            let fields = layout.records[*index].fields.iter().filter_map(|field| {
                let (key, value) = object.get_key_value(&field.name)?;
                Some((CelMapKey::from(key.as_str()), to_cel(layout, &field.shape, value)))
            });
            Box::new(CelMap::from(fields.collect::<HashMap<_, _>>()))
        }
        (Shape::Union(union), json) => match branch_of(union, json) {
            Some(branch) => to_cel(layout, &union.branches[branch], json),
            None => Box::new(CelNull),
        },
        (_, Value::Bool(flag)) => Box::new(CelBool::from(*flag)),
        (_, Value::Number(number)) => match number.as_i64() {
            Some(number) => Box::new(CelInt::from(number)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        (_, Value::String(text)) => Box::new(CelString::from(text.as_str())),
        _ => Box::new(CelNull),
    }
}

/// The branch of a union that a value between versions belongs to.
pub(crate) fn branch_of(union: &Union, json: &Value) -> Option<usize> {
    union.branch_of(JsonKind::of(json), json.as_str().is_some_and(number::is_special))
}

/// The result of a rule in JSON. An error names the value that has no JSON form.
pub(crate) fn from_cel(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(flag) => (*flag).into(),
        cel::Value::Int(number) => (*number).into(),
        cel::Value::UInt(number) => (*number).into(),
        cel::Value::Float(number) => number::double_to_json(*number),
        cel::Value::String(text) => text.as_str().into(),
        cel::Value::Bytes(bytes) => BASE64.encode(bytes.as_slice()).into(),
        cel::Value::List(items) => items.iter().map(from_cel).collect::<Result<_, _>>()?,
        cel::Value::Map(map) => {
            let mut object = Map::new();
            for (key, value) in map.map.iter() {
                let cel::objects::Key::String(key) = key else {
                    return Err(format!("an object with the key {key:?}, which is not a string"));
                };
                object.insert(key.as_str().to_owned(), from_cel(value)?);
            }
            Value::Object(object)
        }
        other => return Err(format!("{other:?}, which has no JSON form")),
    })
}
