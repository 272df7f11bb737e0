//! The types that a field can have.

use std::sync::Arc;

use serde_json::Value;

use crate::layout::json_forms::JsonForms;
use crate::layout::types::TypeName;

/// One type.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(Arc<Fixed>),
    Enum(Arc<Enum>),
    Array(Box<Shape>),
    Map(Box<Shape>),
    /// Index into [`Layout::records`].
    Record(usize),
    Union(Union),
    Decimal(DecimalType),
    Uuid(UuidForm),
    Date,
    TimeOfDay(TimeUnit),
    Timestamp(TimeUnit),
    LocalTimestamp(TimeUnit),
}

#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) name: TypeName,
    pub(crate) size: usize,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: TypeName,
    pub(crate) doc: Option<String>,
    pub(crate) symbols: Vec<String>,
    pub(crate) default: Option<String>,
}

/// Branches whose JSON forms don't overlap.
#[derive(Debug, Clone)]
pub(crate) struct Union {
    pub(crate) branches: Vec<Shape>,
}

impl Union {
    /// The branch that a value in the plain mapping belongs to.
    pub(crate) fn branch_of(&self, json: &Value) -> Option<usize> {
        let form = JsonForms::of(json);
        self.branches.iter().position(|branch| branch.json_forms().overlaps(form))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct DecimalType {
    pub(crate) precision: usize,
    pub(crate) scale: u32,
    /// Bytes of a fixed one.
    pub(crate) fixed: Option<Arc<Fixed>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UuidForm {
    Text,
    Bytes,
    Fixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}

impl TimeUnit {
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }

    pub(crate) fn nanos(self) -> i128 {
        match self {
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }
}

impl Shape {
    /// The forms its values can have in the plain mapping.
    pub(crate) fn json_forms(&self) -> JsonForms {
        match self {
            Self::Null => JsonForms::NULL,
            Self::Boolean => JsonForms::BOOLEAN,
            Self::Int => JsonForms::NUMBER,
            // Beyond 2^53, NaN and the infinities, and every decimal: strings.
            Self::Long | Self::Float | Self::Double | Self::Decimal(_) => {
                JsonForms::NUMBER.and(JsonForms::STRING)
            }
            Self::Bytes
            | Self::String
            | Self::Fixed(_)
            | Self::Enum(_)
            | Self::Uuid(_)
            | Self::Date
            | Self::TimeOfDay(_)
            | Self::Timestamp(_)
            | Self::LocalTimestamp(_) => JsonForms::STRING,
            Self::Array(_) => JsonForms::ARRAY,
            Self::Map(_) | Self::Record(_) => JsonForms::OBJECT,
            Self::Union(union) => {
                union.branches.iter().fold(JsonForms::NONE, |forms, branch| forms.and(branch.json_forms()))
            }
        }
    }

    /// What to call it in an error.
    pub(crate) fn describe(&self) -> String {
        let unit = |name: &str, unit: &TimeUnit| {
            let unit = match unit {
                TimeUnit::Millis => "millis",
                TimeUnit::Micros => "micros",
                TimeUnit::Nanos => "nanos",
            };
            format!("{name}-{unit}")
        };
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::String => "string".to_owned(),
            Self::Fixed(fixed) => format!("fixed {}", fixed.name.full),
            Self::Enum(an_enum) => format!("enum {}", an_enum.name.full),
            Self::Array(_) => "array".to_owned(),
            Self::Map(_) => "map".to_owned(),
            Self::Record(_) => "record".to_owned(),
            Self::Union(union) => {
                let branches: Vec<_> = union.branches.iter().map(Self::describe).collect();
                format!("union of {}", branches.join(", "))
            }
            Self::Decimal(decimal) => format!("decimal({}, {})", decimal.precision, decimal.scale),
            Self::Uuid(_) => "uuid".to_owned(),
            Self::Date => "date".to_owned(),
            Self::TimeOfDay(of) => unit("time", of),
            Self::Timestamp(of) => unit("timestamp", of),
            Self::LocalTimestamp(of) => unit("local-timestamp", of),
        }
    }
}
