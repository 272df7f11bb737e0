//! Events between two versions: typed values in an arena.
//!
//! A value never changes after it was made, so that any number of places can share it: a copy is a reference. All of it
//! borrows from the event's Avro, the schemas and the arena, and is freed with them at once.

use std::collections::BTreeSet;

use crate::layout::json_kind::JsonKind;
use crate::layout::shape::{Shape, TimeUnit, Union};
use crate::mapping::decimal::Decimal;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{number, time};
use crate::upcast::budget::Budget;

/// A value of a schema's type, or of a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// int and long.
    Int(i64),
    /// float and double. A float is the double that is written with the same digits.
    Double(f64),
    /// The whole number's 128 bits, the high ones first, and the scale: [`Decimal`] would make every value larger.
    Decimal([u64; 2], u32),
    /// string, enum and uuid.
    Text(&'a str),
    /// bytes and fixed.
    Bytes(&'a [u8]),
    /// Read as its canonical text, which is not made before it is needed.
    Time(TimeType, i64),
    List(&'a [Value<'a>]),
    /// By key, in the order of the keys, each of them once.
    Map(&'a [Entry<'a>]),
    /// The fields in the order of the schema, and the index of the record in its layout.
    Record(&'a [Value<'a>], u32),
}

/// A key and its value.
pub(crate) type Entry<'a> = (&'a str, Value<'a>);

impl From<Decimal> for Value<'_> {
    fn from(number: Decimal) -> Self {
        let bits = number.unscaled.cast_unsigned();
        Self::Decimal([(bits >> 64) as u64, bits as u64], number.scale)
    }
}

/// What a number of days or of a unit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeType {
    Date,
    TimeOfDay(TimeUnit),
    Timestamp(TimeUnit),
    LocalTimestamp(TimeUnit),
}

impl TimeType {
    pub(crate) fn of(shape: &Shape) -> Option<Self> {
        match shape {
            Shape::Date => Some(Self::Date),
            Shape::TimeOfDay(unit) => Some(Self::TimeOfDay(*unit)),
            Shape::Timestamp(unit) => Some(Self::Timestamp(*unit)),
            Shape::LocalTimestamp(unit) => Some(Self::LocalTimestamp(*unit)),
            _ => None,
        }
    }

    pub(crate) fn text(self, units: i64) -> Result<String, Mismatch> {
        match self {
            Self::Date => {
                let days = i32::try_from(units);
                time::date_text(days.map_err(|_| Mismatch::new(format!("{units} is not a day")))?)
            }
            Self::TimeOfDay(unit) => time::time_of_day_text(units, unit),
            Self::Timestamp(unit) => time::timestamp_text(units, unit),
            Self::LocalTimestamp(unit) => time::local_timestamp_text(units, unit),
        }
    }
}

impl<'a> Value<'a> {
    /// The kind of JSON value that it is written as.
    pub(crate) fn json_kind(self) -> JsonKind {
        match self {
            Self::Null => JsonKind::Null,
            Self::Bool(_) => JsonKind::Boolean,
            Self::Int(_) | Self::Double(_) => JsonKind::Number,
            Self::Decimal(..) | Self::Text(_) | Self::Bytes(_) | Self::Time(..) => JsonKind::String,
            Self::List(_) => JsonKind::Array,
            Self::Map(_) | Self::Record(..) => JsonKind::Object,
        }
    }

    /// The number, where it is a decimal.
    pub(crate) fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Decimal([high, low], scale) => {
                let bits = u128::from(high) << 64 | u128::from(low);
                Some(Decimal { unscaled: bits.cast_signed(), scale })
            }
            _ => None,
        }
    }

    /// Whether it is the very same value, without a look at what is inside.
    pub(crate) fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Double(one), Self::Double(other)) => one.to_bits() == other.to_bits(),
            (Self::Decimal(one, scale), Self::Decimal(other, other_scale)) => {
                (one, scale) == (other, other_scale)
            }
            (Self::Text(one), Self::Text(other)) => std::ptr::eq(one, other),
            (Self::Bytes(one), Self::Bytes(other)) => std::ptr::eq(one, other),
            (Self::Time(one, units), Self::Time(other, other_units)) => (one, units) == (other, other_units),
            (Self::List(one), Self::List(other)) => std::ptr::eq(one, other),
            (Self::Map(one), Self::Map(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }

    /// The text of a string, or of what is read as one.
    pub(crate) fn text(self, budget: &Budget<'a>) -> Result<Option<&'a str>, Mismatch> {
        match self {
            Self::Text(text) => Ok(Some(text)),
            Self::Time(of, units) => budget.text(&of.text(units)?).map(Some),
            _ => Ok(None),
        }
    }

    /// The value as one of a union. What JSON numbers cannot express is text in JSON.
    pub(crate) fn among(self, union: &Union) -> Result<Self, Mismatch> {
        let has_text = || union.branches.iter().any(|branch| branch.kind() == Some(JsonKind::String));
        match self {
            Self::Double(number) if !number.is_finite() && has_text() => {
                let text = number::no_number(number).unwrap_or_default();
                Err(Mismatch::new(format!("{text} cannot be told apart from text in the newer union")))
            }
            value => Ok(value),
        }
    }

    /// Adds the indices of the records in it.
    // The depth of the recursion is bounded by that of the event.
    pub(crate) fn records(self, found: &mut BTreeSet<usize>) {
        match self {
            Self::List(items) => items.iter().for_each(|item| item.records(found)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.records(found)),
            Self::Record(fields, index) => {
                found.insert(index as usize);
                fields.iter().for_each(|field| field.records(found));
            }
            _ => {}
        }
    }

    /// What to call it in an error.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Double(_) => "a double",
            Self::Decimal(..) => "a decimal",
            Self::Text(_) | Self::Time(..) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Record(..) => "a record",
        }
    }
}
