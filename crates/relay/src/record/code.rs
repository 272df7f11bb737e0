//! Why an event did not become a record, as a stable code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an event was parked, skipped or discarded. The text form is stored in the exceptions of a route and is the
/// value of the metrics' label `code`; each code has a section in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The type map gives the stored type no event name.
    UnmappedType,
    /// Schema version or time in the metadata have a wrong form.
    Metadata,
    /// Type map and metadata give different versions.
    VersionsDiffer,
    /// The data is not a JSON object.
    NotJson,
    /// No schema exists for the event type.
    UnknownType,
    /// No schema exists for this version of the event type.
    UnknownVersion,
    /// The data does not fit its schema.
    Payload,
    /// An upcast rule failed.
    Upcast,
    /// The record would be larger than the relay may write.
    TooLarge,
    /// An earlier event of the same stream is parked.
    Blocked,
    /// An operator asked for it.
    Requested,
}

impl Code {
    /// All codes. The index of a code never changes.
    pub const ALL: [Self; 11] = [
        Self::UnmappedType,
        Self::Metadata,
        Self::VersionsDiffer,
        Self::NotJson,
        Self::UnknownType,
        Self::UnknownVersion,
        Self::Payload,
        Self::Upcast,
        Self::TooLarge,
        Self::Blocked,
        Self::Requested,
    ];

    /// The text that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnmappedType => "unmapped_type",
            Self::Metadata => "metadata",
            Self::VersionsDiffer => "versions_differ",
            Self::NotJson => "not_json",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::Payload => "payload",
            Self::Upcast => "upcast",
            Self::TooLarge => "too_large",
            Self::Blocked => "blocked",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an error code: use one of {codes}", codes = Code::ALL.map(Code::as_str).join(", "))]
pub struct UnknownCode(String);

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_text_everywhere() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            assert_eq!(code.as_str().parse(), Ok(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let unknown = "payloads".parse::<Code>().unwrap_err().to_string();
        assert!(unknown.contains("\"payloads\"") && unknown.contains("not_json, unknown_type"), "{unknown}");
    }
}
