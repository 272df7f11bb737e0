//! The types that a field can have.

use std::sync::Arc;

use crate::layout::json_kind::JsonKind;
use crate::layout::type_name::TypeName;

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

/// Branches that are written as JSON values of different kinds.
#[derive(Debug, Clone)]
pub(crate) struct Union {
    pub(crate) branches: Vec<Shape>,
}

impl Union {
    /// Whether there are several branches besides null, so that each takes only its own kind of JSON value.
    pub(crate) fn has_several_kinds(&self) -> bool {
        self.branches.iter().filter(|branch| !matches!(branch, Shape::Null)).count() > 1
    }

    /// The branch for a JSON value of a kind. `special` says whether it is the text of a value that JSON numbers
    /// cannot express, `"NaN"` for example.
    pub(crate) fn branch_of(&self, kind: JsonKind, special: bool) -> Option<usize> {
        let find = |test: &dyn Fn(&Shape) -> bool| self.branches.iter().position(test);
        if kind == JsonKind::Null {
            return find(&|branch| matches!(branch, Shape::Null));
        }
        if !self.has_several_kinds() {
            return find(&|branch| !matches!(branch, Shape::Null));
        }
        let own = find(&|branch| branch.kind() == Some(kind));
        own.or_else(|| {
            let numbers = find(&|branch| matches!(branch, Shape::Float | Shape::Double));
            numbers.filter(|_| special)
        })
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
    /// The kind of JSON value that it is written as; `None` for a union. A long beyond 2^53 and what JSON numbers
    /// cannot express are written as strings where that leaves no doubt.
    pub(crate) fn kind(&self) -> Option<JsonKind> {
        Some(match self {
            Self::Null => JsonKind::Null,
            Self::Boolean => JsonKind::Boolean,
            Self::Int | Self::Long | Self::Float | Self::Double => JsonKind::Number,
            Self::Bytes
            | Self::String
            | Self::Fixed(_)
            | Self::Enum(_)
            | Self::Decimal(_)
            | Self::Uuid(_)
            | Self::Date
            | Self::TimeOfDay(_)
            | Self::Timestamp(_)
            | Self::LocalTimestamp(_) => JsonKind::String,
            Self::Array(_) => JsonKind::Array,
            Self::Map(_) | Self::Record(_) => JsonKind::Object,
            Self::Union(_) => return None,
        })
    }

    /// Whether any text fits it.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::String => true,
            Self::Union(union) => union.branches.iter().any(Self::is_text),
            _ => false,
        }
    }

    pub(crate) fn is_map_of_string(&self) -> bool {
        matches!(self, Self::Map(values) if matches!(**values, Self::String))
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
