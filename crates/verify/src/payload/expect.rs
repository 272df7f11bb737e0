//! The datum that stored JSON means.

use super::datum::Datum;
use super::number;
use super::schema::{Schema, Type, Unknown, UuidForm};
use super::{text, time};
use crate::json::Json;

/// Why JSON does not fit its schema, with the place.
pub(crate) type Misfit = String;

impl Schema {
    /// The datum of an event, or why it does not fit.
    pub(crate) fn expect(&self, json: &Json) -> Result<Datum, Misfit> {
        self.value(&self.root, json, Unknown::Error)
    }

    /// `unknown` is what the record around the value does with unknown fields.
    pub(super) fn value(&self, as_type: &Type, json: &Json, unknown: Unknown) -> Result<Datum, Misfit> {
        let found = match as_type {
            Type::Record(index) => return self.record(&self.records[*index], json),
            Type::Array(items) => return self.list(items, json, unknown),
            Type::Map(values) => return self.map(values, json, unknown),
            Type::Union(branches) => return self.union(branches, json, unknown),
            Type::Null => (*json == Json::Null).then_some(Datum::Null),
            Type::Boolean => match json {
                Json::Bool(value) => Some(Datum::Bool(*value)),
                _ => None,
            },
            Type::Int => number::whole(json).filter(|it| i32::try_from(*it).is_ok()).map(Datum::Integer),
            Type::Long => number::whole(json).map(Datum::Integer),
            Type::Float => number::float(json).map(Datum::Float),
            Type::Double => number::double(json).map(Datum::Float),
            Type::Text => json.as_text().map(|text| Datum::Text(text.to_owned())),
            Type::Bytes => text::bytes(json).map(Datum::Bytes),
            Type::Fixed(size) => text::bytes(json).filter(|bytes| bytes.len() == *size).map(Datum::Bytes),
            Type::Enum { symbols, .. } => {
                let symbol = json.as_text().filter(|text| symbols.iter().any(|symbol| symbol == text));
                symbol.map(|symbol| Datum::Text(symbol.to_owned()))
            }
            Type::Decimal { precision, scale, size } => number::decimal(json, *scale)
                .filter(|unscaled| fits(*unscaled, *precision, *size))
                .map(|unscaled| Datum::Decimal(unscaled, *scale)),
            Type::Uuid(UuidForm::Text) => text::uuid(json).map(Datum::Text),
            Type::Uuid(_) => text::uuid(json).and_then(|uuid| text::uuid_bytes(&uuid)).map(Datum::Bytes),
            Type::Date => time::days(json).map(Datum::Integer),
            Type::TimeOfDay(unit) => time::time_of_day(json, *unit).map(Datum::Integer),
            Type::Timestamp(unit) => time::timestamp(json, *unit).map(Datum::Integer),
            Type::LocalTimestamp(unit) => time::local_timestamp(json, *unit).map(Datum::Integer),
        };
        found.ok_or_else(|| format!(": {json} is not {}", as_type.name()))
    }

    fn list(&self, items: &Type, json: &Json, unknown: Unknown) -> Result<Datum, Misfit> {
        let found = text::items(json).ok_or_else(|| format!(": {json} is not an array"))?;
        let found = found.iter().enumerate();
        let found =
            found.map(|(n, item)| self.value(items, item, unknown).map_err(|text| format!("[{n}]{text}")));
        Ok(Datum::List(found.collect::<Result<_, _>>()?))
    }

    fn map(&self, values: &Type, json: &Json, unknown: Unknown) -> Result<Datum, Misfit> {
        let Json::Object(fields) = json else { return Err(format!(": {json} is not an object")) };
        // A type name that a serializer has put among the entries.
        let drops_type = unknown == Unknown::Drop && !values.takes_text();
        let mut entries = Vec::new();
        for (key, value) in fields {
            let key = key.clone().unwrap_or_default();
            if drops_type && key == "$type" && value.as_text().is_some() {
                continue;
            }
            let value = self.value(values, value, unknown).map_err(|text| format!(".{key}{text}"))?;
            entries.push((key, value));
        }
        Ok(Datum::Map(entries))
    }

    fn union(&self, branches: &[Type], json: &Json, unknown: Unknown) -> Result<Datum, Misfit> {
        let others = || branches.iter().filter(|branch| **branch != Type::Null);
        let has_several = others().count() > 1;
        let fits = |branch: &Type| match (json, branch) {
            (Json::Null, branch) => *branch == Type::Null,
            (_, Type::Null) => false,
            (json, branch) => !has_several || branch.kind() == kind(json),
        };
        // A text that says what numbers cannot is a number, unless the union has text.
        let is_special = |branch: &Type| {
            let is_special = json.as_text().is_some_and(number::is_special);
            is_special && matches!(branch, Type::Float | Type::Double)
        };
        let found = branches.iter().position(fits).or_else(|| branches.iter().position(is_special));
        let index = found.ok_or_else(|| format!(": {json} fits no branch of the union"))?;
        Ok(Datum::Branch(index, Box::new(self.value(&branches[index], json, unknown)?)))
    }
}

/// The kinds of JSON values that branches of a union are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

fn kind(json: &Json) -> Kind {
    match json {
        Json::Null => Kind::Null,
        Json::Bool(_) => Kind::Boolean,
        Json::Number(_) => Kind::Number,
        Json::Text(_) => Kind::Text,
        Json::Array(_) => Kind::Array,
        Json::Object(_) | Json::TooDeep => Kind::Object,
    }
}

impl Type {
    fn kind(&self) -> Kind {
        match self {
            Self::Null | Self::Union(_) => Kind::Null,
            Self::Boolean => Kind::Boolean,
            Self::Int | Self::Long | Self::Float | Self::Double => Kind::Number,
            Self::Array(_) => Kind::Array,
            Self::Map(_) | Self::Record(_) => Kind::Object,
            _ => Kind::Text,
        }
    }

    fn takes_text(&self) -> bool {
        match self {
            Self::Text => true,
            Self::Union(branches) => branches.iter().any(Self::takes_text),
            _ => false,
        }
    }

    /// With its article.
    fn name(&self) -> String {
        let name = match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Int => "an int",
            Self::Long => "a long",
            Self::Float => "a float",
            Self::Double => "a double",
            Self::Text => "a string",
            Self::Bytes | Self::Fixed(_) => "bytes of its size",
            Self::Enum { .. } => "a symbol of the enum",
            Self::Decimal { precision, scale, .. } => return format!("a decimal({precision}, {scale})"),
            Self::Uuid(_) => "a UUID",
            Self::Date => "a date",
            Self::TimeOfDay(_) => "a time of day",
            Self::Timestamp(_) => "a timestamp",
            Self::LocalTimestamp(_) => "a local timestamp",
            Self::Record(_) | Self::Map(_) => "an object",
            Self::Array(_) => "an array",
            Self::Union(_) => "of the union",
        };
        name.to_owned()
    }
}

/// Whether a number has at most so many digits, and fits the bytes of a fixed.
fn fits(unscaled: i128, precision: u32, size: Option<usize>) -> bool {
    let digits = unscaled.unsigned_abs().checked_ilog10().map_or(1, |highest| highest + 1);
    let bits = 129 - if unscaled < 0 { unscaled.leading_ones() } else { unscaled.leading_zeros() };
    let has_room = size.is_none_or(|size| size >= 16 || bits as usize <= 8 * size);
    digits <= precision && has_room
}
