//! Where another answer than the reference's is right: it silently gives another value than the one that was written.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use crate::decode::DecodeError;
use crate::default::Mode;
use crate::{Resolution, Schema, Value};

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
            Self::NotUtf8 => "bytes that are not UTF-8 are not a string; the reference replaces them",
            Self::UnfitDefault => {
                "a default that is not a value of its type is an error; the reference pads, cuts or rounds it"
            }
            Self::LaterBranch => {
                "a number as a default is of the branch of a union that holds it; the reference cuts it to the first number"
            }
            Self::KnownSchema => "a registry takes a schema that it has already, whatever the level says",
        })
    }
}

/// The rule by which a value is read otherwise than was recorded. There is one only if what was recorded is what the reference
/// silently makes of these bytes.
pub(super) fn of_resolution(
    writer: &Schema,
    reader: &Schema,
    bytes: &[u8],
    read: Result<&Value, &DecodeError>,
    recorded: Option<&Value>,
) -> Option<Rule> {
    let silently = Resolution::in_mode(writer, reader, Mode::Reference).decode(bytes).ok()?;
    if Some(&silently) != recorded {
        return None;
    }
    match read {
        Err(DecodeError::InvalidUtf8) => Some(Rule::NotUtf8),
        Err(DecodeError::Unreadable(_)) => Some(Rule::UnfitDefault),
        Err(_) => None,
        Ok(_) => Some(Rule::LaterBranch),
    }
}

/// Whether a registry takes a candidate for a schema that it has: it does not look at null as a default, and at the defaults of
/// enums.
pub(super) fn is_known(history: &[Json], candidate: &Json) -> bool {
    let candidate = without_such_defaults(candidate);
    history.iter().any(|version| without_such_defaults(version) == candidate)
}

fn without_such_defaults(schema: &Json) -> Json {
    match schema {
        Json::Object(attributes) => {
            let is_enum = attributes.get("type").is_some_and(|word| word == "enum");
            let kept =
                attributes.iter().filter(|(key, value)| *key != "default" || !is_enum && !value.is_null());
            kept.map(|(key, value)| (key.clone(), without_such_defaults(value))).collect()
        }
        Json::Array(parts) => parts.iter().map(without_such_defaults).collect(),
        other => other.clone(),
    }
}
