//! The types of rules.

use std::fmt;

use crate::layout::json_kind::JsonKind;
use crate::layout::shape::Shape;
use crate::layout::types::Layout;

/// The kinds of values that an expression may have; several where it is nullable or a union. Without any it is the
/// type of what there is none of: the items of `[]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Type(Vec<Kind>);

/// One kind of value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Int,
    Double,
    Decimal,
    /// Enums, UUIDs, dates and times too.
    Text,
    Bytes,
    List(Type),
    Map(Type),
    /// Index into the older layout's records.
    Record(usize),
    /// A map literal: its keys, in order, and the types of their values.
    Object(Vec<(String, Type)>),
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self(vec![kind])
    }
}

impl Type {
    pub(crate) const fn nothing() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn of(shape: &Shape) -> Self {
        let kind = match shape {
            Shape::Union(union) => {
                return union.branches.iter().map(Self::of).fold(Self::nothing(), Self::or);
            }
            Shape::Null => Kind::Null,
            Shape::Boolean => Kind::Bool,
            Shape::Int | Shape::Long => Kind::Int,
            Shape::Float | Shape::Double => Kind::Double,
            Shape::Decimal(_) => Kind::Decimal,
            Shape::Bytes | Shape::Fixed(_) => Kind::Bytes,
            Shape::Array(items) => Kind::List(Self::of(items)),
            Shape::Map(values) => Kind::Map(Self::of(values)),
            Shape::Record(index) => Kind::Record(*index),
            Shape::String
            | Shape::Enum(_)
            | Shape::Uuid(_)
            | Shape::Date
            | Shape::TimeOfDay(_)
            | Shape::Timestamp(_)
            | Shape::LocalTimestamp(_) => Kind::Text,
        };
        kind.into()
    }

    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.0
    }

    /// The kind, where there is one only.
    pub(crate) fn only(&self) -> Option<&Kind> {
        match &self.0[..] {
            [kind] => Some(kind),
            _ => None,
        }
    }

    pub(crate) fn is(&self, kind: &Kind) -> bool {
        self.only() == Some(kind)
    }

    pub(crate) fn is_nullable(&self) -> bool {
        self.0.contains(&Kind::Null)
    }

    pub(crate) fn retain(&self, keep: impl Fn(&Kind) -> bool) -> Self {
        Self(self.0.iter().filter(|kind| keep(kind)).cloned().collect())
    }

    /// The type of what has the one type or the other.
    pub(crate) fn or(mut self, other: Self) -> Self {
        for kind in other.0 {
            let same = self.0.iter_mut().find(|known| match (&**known, &kind) {
                (Kind::List(_), Kind::List(_)) | (Kind::Map(_), Kind::Map(_)) => true,
                (known, kind) => known == kind,
            });
            match (same, kind) {
                (Some(Kind::List(known)), Kind::List(items)) | (Some(Kind::Map(known)), Kind::Map(items)) => {
                    let merged = std::mem::replace(known, Self::nothing()).or(items);
                    *known = merged;
                }
                (Some(_), _) => {}
                (None, kind) => self.0.push(kind),
            }
        }
        self
    }

    /// Names records as in the layout.
    pub(crate) fn describe(&self, layout: &Layout) -> String {
        let kinds: Vec<_> = self.0.iter().map(|kind| kind.describe(layout)).collect();
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(" or ") }
    }
}

impl Kind {
    pub(crate) fn json_kind(&self) -> JsonKind {
        match self {
            Self::Null => JsonKind::Null,
            Self::Bool => JsonKind::Boolean,
            Self::Int | Self::Double => JsonKind::Number,
            Self::Decimal | Self::Text | Self::Bytes => JsonKind::String,
            Self::List(_) => JsonKind::Array,
            Self::Map(_) | Self::Record(_) | Self::Object(_) => JsonKind::Object,
        }
    }

    pub(crate) fn describe(&self, layout: &Layout) -> String {
        match self {
            Self::List(items) => format!("list of {}", items.describe(layout)),
            Self::Map(values) => format!("map of {}", values.describe(layout)),
            Self::Record(index) => format!("record {}", layout.records[*index].name.full),
            kind => kind.to_string(),
        }
    }
}

/// Without what is inside.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::List(_) => "list",
            Self::Map(_) | Self::Object(_) => "map",
            Self::Record(_) => "record",
        })
    }
}
