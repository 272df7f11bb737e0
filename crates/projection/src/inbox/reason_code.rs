//! Why an event is parked, as a stable code.

use std::fmt;
use std::str::FromStr;

/// Why an event is parked. The text form is stored in `aqueduct.parked.code`; each code has a section in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReasonCode {
    /// The headers do not describe an event.
    Headers,
    /// The record comes from another source.
    Source,
    /// The projection neither handles nor ignores the event type.
    UnknownType,
    /// The payload cannot be decoded or does not fit the event type.
    Payload,
    /// The projection's code panicked.
    Panic,
    /// Postgres or a projector rejected what the event changes.
    Row,
    /// The reactor rejected the event.
    Reaction,
    /// An event before it is missing.
    Gap,
    /// An earlier event of its stream is parked.
    Blocked,
    /// Another event has its revision: it was applied, or is parked.
    Conflict,
    /// It is older than the message ids that are kept. Only consumers in other languages notice it.
    Undecidable,
}

impl ReasonCode {
    /// All codes.
    pub const ALL: [Self; 11] = [
        Self::Headers,
        Self::Source,
        Self::UnknownType,
        Self::Payload,
        Self::Panic,
        Self::Row,
        Self::Reaction,
        Self::Gap,
        Self::Blocked,
        Self::Conflict,
        Self::Undecidable,
    ];

    /// The text that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Source => "source",
            Self::UnknownType => "unknown_type",
            Self::Payload => "payload",
            Self::Panic => "panic",
            Self::Row => "row",
            Self::Reaction => "reaction",
            Self::Gap => "gap",
            Self::Blocked => "blocked",
            Self::Conflict => "conflict",
            Self::Undecidable => "undecidable",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not the code of a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a code of projections: use one of {codes}", codes = ReasonCode::ALL.map(ReasonCode::as_str).join(", "))]
pub struct UnknownReasonCode(String);

impl FromStr for ReasonCode {
    type Err = UnknownReasonCode;

    fn from_str(text: &str) -> Result<Self, UnknownReasonCode> {
        let code = Self::ALL.into_iter().find(|code| code.as_str() == text);
        code.ok_or_else(|| UnknownReasonCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_read_from_its_text() {
        for (index, code) in ReasonCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        let unknown = "gaps".parse::<ReasonCode>().unwrap_err().to_string();
        assert!(unknown.contains("\"gaps\"") && unknown.contains("reaction, gap, blocked"), "{unknown}");
    }
}
