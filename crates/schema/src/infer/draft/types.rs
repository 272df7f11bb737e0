//! What is decided for a type: the part of Avro that drafts use.

/// Units of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    pub(in crate::infer) fn logical_type(self) -> &'static str {
        match self {
            Self::Millis => "timestamp-millis",
            Self::Micros => "timestamp-micros",
            Self::Nanos => "timestamp-nanos",
        }
    }
}

/// The type of the values at one path, null left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) enum DraftType {
    Boolean,
    Long,
    Double,
    Decimal {
        precision: u32,
        scale: u32,
    },
    Text,
    Uuid,
    Date,
    Timestamp(Unit),
    Enum {
        name: String,
        symbols: Vec<String>,
    },
    Array(Box<Slot>),
    /// From text to values of one type.
    Map(Box<Slot>),
    Record(DraftRecord),
    /// Two or more kinds, told apart by their JSON form.
    Union(Vec<DraftType>),
}

/// A type that may be nullable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) struct Slot {
    pub(in crate::infer) nullable: bool,
    pub(in crate::infer) of: DraftType,
}

/// A record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) struct DraftRecord {
    /// Simple name.
    pub(in crate::infer) name: String,
    pub(in crate::infer) fields: Vec<DraftField>,
}

/// A field. A nullable one has the default null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) struct DraftField {
    pub(in crate::infer) name: String,
    /// The keys in the stored JSON, that which gives the field its name first.
    pub(in crate::infer) stored: Vec<String>,
    pub(in crate::infer) slot: Slot,
}

impl DraftType {
    /// For reports: `decimal(18, 2)`, `array of uuid`, `long or string`.
    pub(in crate::infer) fn describe(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Self::Text => "string".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp(unit) => unit.logical_type().to_owned(),
            Self::Enum { symbols, .. } => format!("enum ({})", symbols.join(", ")),
            Self::Array(items) => format!("array of {}", items.describe()),
            Self::Map(values) => format!("map of {}", values.describe()),
            Self::Record(record) => format!("record {}", record.name),
            Self::Union(kinds) => kinds.iter().map(Self::describe).collect::<Vec<_>>().join(" or "),
        }
    }
}

impl Slot {
    pub(in crate::infer) fn describe(&self) -> String {
        let described = self.of.describe();
        if self.nullable { format!("{described} or null") } else { described }
    }
}
