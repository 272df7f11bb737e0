//! What a schema says about JSON and bytes, in the form that encoding, decoding and upcasting walk.

use std::sync::Arc;

use serde_json::Value;

/// A schema file's records; the first one is the event.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Full name of the event: `shop.orders.OrderCreated`.
    pub(crate) full_name: Arc<str>,
    pub(crate) records: Vec<Record>,
    /// Whether a field can be left out in JSON, so that JSON that fits may lack what a reader expects.
    pub(crate) has_defaults: bool,
}

impl Layout {
    /// The index of the event's own record.
    pub(crate) const EVENT: usize = 0;

    pub(crate) fn event(&self) -> &Record {
        &self.records[Self::EVENT]
    }
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: TypeName,
    pub(crate) doc: Option<String>,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) default: Option<DefaultValue>,
    /// The text of the rule that makes the field from an older version.
    pub(crate) rule: Option<String>,
}

/// A field's default in the plain mapping and in Avro's encoding.
#[derive(Debug, Clone)]
pub(crate) struct DefaultValue {
    pub(crate) json: Value,
    pub(crate) avro: Vec<u8>,
}

/// Full name and the full names it was known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) full: String,
    pub(crate) aliases: Vec<String>,
}

impl TypeName {
    /// The name without its namespace.
    pub(crate) fn simple(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or(&self.full)
    }

    /// Whether an older version's type of that name is this type.
    pub(crate) fn matches(&self, older: &Self) -> bool {
        self.full == older.full || self.aliases.contains(&older.full)
    }
}

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

/// A set of the six forms a JSON value can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonForms(u8);

impl JsonForms {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(1 << 1);
    pub(crate) const NUMBER: Self = Self(1 << 2);
    pub(crate) const STRING: Self = Self(1 << 3);
    pub(crate) const ARRAY: Self = Self(1 << 4);
    pub(crate) const OBJECT: Self = Self(1 << 5);

    pub(crate) fn of(json: &Value) -> Self {
        match json {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
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
                union.branches.iter().fold(JsonForms(0), |forms, branch| forms.and(branch.json_forms()))
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
