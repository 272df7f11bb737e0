//! References to events, such as `7@order-42`.

use std::fmt;
use std::str::FromStr;

use aqueduct_core::{RecordedEvent, Revision, StreamName};

/// An event's place, unique in the store. As text `7@order-42`: revision 7 of the stream `order-42`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventReference {
    /// The stream.
    pub stream: StreamName,
    /// The revision in it.
    pub revision: Revision,
}

impl EventReference {
    /// The place of an event that was read.
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        Self { stream: event.stream.clone(), revision: event.revision }
    }

    /// The event that the key of a record names.
    pub(crate) fn of_key(key: Option<&[u8]>) -> Option<Self> {
        str::from_utf8(key?).ok()?.parse().ok()
    }
}

impl fmt::Display for EventReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.revision, self.stream)
    }
}

/// Not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" does not name an event: write revision@stream, for example 7@order-42")]
pub struct ReferenceError(String);

impl FromStr for EventReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parsed = text.split_once('@').and_then(|(revision, stream)| {
            // `parse` accepts a sign and leading zeros, which would give one event several references.
            let canonical = revision == "0" || !revision.starts_with(['0', '+']);
            let revision = revision.parse().ok().filter(|_| canonical)?;
            (!stream.is_empty()).then(|| Self { stream: stream.into(), revision })
        });
        parsed.ok_or_else(|| ReferenceError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_has_one_reference() {
        for (text, revision, stream) in [("7@order-42", 7, "order-42"), ("0@a@b", 0, "a@b")] {
            let reference: EventReference = text.parse().unwrap();
            assert_eq!((reference.revision, reference.stream.as_str()), (revision, stream));
            assert_eq!(reference.to_string(), text);
        }
        for text in ["", "7", "@order-42", "7@", "07@order-42", "+7@order-42", "-7@order-42", "x@order-42"] {
            let error = text.parse::<EventReference>().unwrap_err().to_string();
            assert!(error.contains("7@order-42"), "{error}");
        }
    }
}
