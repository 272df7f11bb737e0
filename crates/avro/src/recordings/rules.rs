//! Where another answer than the reference's is right: it silently gives another value than the one that was written.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use crate::decode::DecodeError;
use crate::default;
use crate::schema::{Field, Schema, Type};
use crate::value::Value;

/// Why a case may give something else than the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The reference replaces bytes that are not UTF-8.
    NotUtf8,
    /// The reference pads or cuts a default, or makes it infinite.
    UnfitDefault,
    /// The reference cuts a default to the first branch of its kind, although a later one holds it.
    LaterBranch,
    /// A registry answers the registration of a schema that it has, whatever the level says.
    KnownSchema,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "bytes that are not UTF-8 are no string; the reference replaces them",
            Self::UnfitDefault => "a default that is no value of its type is an error; the reference pads, cuts or rounds it",
            Self::LaterBranch => {
                "a default has the branch of a union that holds it; the reference cuts it to the first of its kind"
            }
            Self::KnownSchema => "a registry takes a schema that it has already, whatever the level says",
        })
    }
}

/// The rule by which a value may be read otherwise than the reference does.
pub(super) fn of_resolution(
    reader: &Schema,
    read: Result<&Value, &DecodeError>,
    recorded: Option<&Json>,
) -> Option<Rule> {
    let recorded = recorded?;
    match read {
        Err(DecodeError::NoText) if recorded.to_string().contains('\u{FFFD}') => Some(Rule::NotUtf8),
        Err(DecodeError::Unreadable(_)) if has_default(reader, is_unfit) => Some(Rule::UnfitDefault),
        Ok(_) if has_default(reader, needs_later_branch) => Some(Rule::LaterBranch),
        _ => None,
    }
}

fn has_default(schema: &Schema, is_such: fn(&Schema, &Field, &Json) -> bool) -> bool {
    schema.types.iter().any(|each| match each {
        Type::Record(record) => record
            .fields
            .iter()
            .any(|field| field.default.as_ref().is_some_and(|default| is_such(schema, field, default))),
        _ => false,
    })
}

fn is_unfit(schema: &Schema, field: &Field, default: &Json) -> bool {
    default::value(schema, field.field_type, default).is_err()
}

fn needs_later_branch(schema: &Schema, field: &Field, default: &Json) -> bool {
    let Type::Union(branches) = schema.get(field.field_type) else { return false };
    let is_number = |each: &Type| matches!(each, Type::Int(_) | Type::Long(_) | Type::Float | Type::Double);
    let first = branches.iter().position(|branch| is_number(schema.get(*branch)));
    default.is_number()
        && match default::value(schema, field.field_type, default) {
            Ok(Value::Union(index, _)) => first.is_some_and(|first| first < index),
            _ => false,
        }
}
