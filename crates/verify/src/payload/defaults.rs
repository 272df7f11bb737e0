//! What a missing field means.

use serde_json::Value;

use super::datum::Datum;
use super::decode::unscaled;
use super::expect::Misfit;
use super::schema::{Schema, Type, Unknown, UuidForm};
use crate::json::Json;

impl Schema {
    /// The datum of a default in Avro's own JSON: bytes are texts with a character for each, logical types are what
    /// is below them, and any branch of a union may be meant.
    pub(super) fn default(&self, as_type: &Type, json: &Value) -> Result<Datum, Misfit> {
        let misfit = || format!(": the default {json} does not fit");
        match as_type {
            Type::Bytes | Type::Fixed(_) | Type::Uuid(UuidForm::Fixed) => {
                characters(json).map(Datum::Bytes).ok_or_else(misfit)
            }
            Type::Decimal { scale, .. } => {
                let unscaled = characters(json).and_then(|bytes| unscaled(&bytes)).ok_or_else(misfit)?;
                Ok(Datum::Decimal(unscaled, *scale))
            }
            Type::Date | Type::TimeOfDay(_) | Type::Timestamp(_) | Type::LocalTimestamp(_) => {
                json.as_i64().map(Datum::Integer).ok_or_else(misfit)
            }
            Type::Array(items) => {
                let items = json.as_array().ok_or_else(misfit)?.iter().map(|item| self.default(items, item));
                Ok(Datum::List(items.collect::<Result<_, _>>()?))
            }
            Type::Map(values) => {
                let entries = json.as_object().ok_or_else(misfit)?.iter();
                let entries = entries.map(|(key, value)| Ok((key.clone(), self.default(values, value)?)));
                Ok(Datum::Map(entries.collect::<Result<_, Misfit>>()?))
            }
            Type::Record(index) => {
                let object = json.as_object().ok_or_else(misfit)?;
                let fields = self.records[*index].fields.iter().map(|field| {
                    let value = object.get(&field.name).or(field.default.as_ref()).ok_or_else(misfit)?;
                    Ok((field.name.clone(), self.default(&field.as_type, value)?))
                });
                Ok(Datum::Record(fields.collect::<Result<_, Misfit>>()?))
            }
            Type::Union(branches) => {
                let mut fitting = branches.iter().enumerate().filter_map(|(index, branch)| {
                    Some(Datum::Branch(index, Box::new(self.default(branch, json).ok()?)))
                });
                fitting.next().ok_or_else(misfit)
            }
            _ => self.value(as_type, &Json::from(json), Unknown::Error),
        }
    }
}

fn characters(json: &Value) -> Option<Vec<u8>> {
    json.as_str()?.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
