//! Why an event does not become a record.

use aqueduct_core::mapping::EventMappingError;
use aqueduct_core::{CodecError, CodecProblem, ErrorKind, StoreError, with_causes};
use aqueduct_schema::RegistryError;

use crate::record::code::Code;

/// Why an event does not become a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventProblem {
    #[error(transparent)]
    Mapping(#[from] EventMappingError),
    #[error(
        "its content type is not JSON: name the event type in the route's json_types if its data is JSON all the same"
    )]
    ContentType,
    #[error("its data is not a JSON object")]
    NotAnObject,
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "the record has {bytes} bytes, more than relay.max_record_bytes ({max}) allows: raise it to at least {bytes}, \
         raise max.message.bytes of the route's topic and of its topic of parked events accordingly, and restart the \
         relay"
    )]
    TooLarge { bytes: usize, max: usize },
    #[error("the event store can't be read")]
    LookUp(#[from] StoreError),
    #[error("the store no longer has the event, and its data was too large to be parked: discard it")]
    Gone,
}

impl EventProblem {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Mapping(error) => error.kind(),
            Self::ContentType | Self::NotAnObject | Self::TooLarge { .. } => ErrorKind::Park,
            Self::Codec(error) => error.kind(),
            // Neither is a fault of the event.
            Self::Registry(error) => not_the_event(error.kind()),
            Self::LookUp(error) => not_the_event(error.kind()),
            Self::Gone => ErrorKind::Stop,
        }
    }

    /// The stable code of a problem of the event itself; `None` where something else is at fault, and the event must
    /// neither be parked nor skipped.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Mapping(error) => Some(match error {
                EventMappingError::Type(_) => Code::UnmappedType,
                EventMappingError::Field(_) => Code::Metadata,
                EventMappingError::VersionsDiffer { .. } => Code::VersionsDiffer,
            }),
            Self::ContentType | Self::NotAnObject => Some(Code::NotJson),
            Self::Codec(error) => Some(match error.category {
                CodecProblem::NotJson => Code::NotJson,
                CodecProblem::UnknownType => Code::UnknownType,
                CodecProblem::UnknownVersion => Code::UnknownVersion,
                CodecProblem::Payload => Code::Payload,
                CodecProblem::Upcast => Code::Upcast,
                CodecProblem::TooLarge => Code::TooLarge,
            }),
            Self::TooLarge { .. } => Some(Code::TooLarge),
            Self::Registry(_) | Self::LookUp(_) | Self::Gone => None,
        }
    }

    /// The reason to be stored or shown: it names no value of the event's data or metadata.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Codec(error) => error.without_values(),
            Self::Mapping(EventMappingError::VersionsDiffer { mapped, .. }) => {
                format!("the type map says version {mapped}, the metadata says another one")
            }
            Self::Registry(error) => with_causes(error),
            Self::LookUp(_) => with_causes(self),
            Self::Mapping(_) | Self::ContentType | Self::NotAnObject | Self::TooLarge { .. } | Self::Gone => {
                self.to_string()
            }
        }
    }

    /// Value of the metrics' label `kind`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Mapping(_)
            | Self::ContentType
            | Self::NotAnObject
            | Self::TooLarge { .. }
            | Self::Codec(_) => "event",
            Self::Registry(_) => "schema",
            Self::LookUp(_) | Self::Gone => "store",
        }
    }
}

fn not_the_event(kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::Park => ErrorKind::Stop,
        other => other,
    }
}

/// An event that does not become a record. The lane waits at it: what comes after it may belong to the same
/// stream.
#[derive(Debug, thiserror::Error)]
#[error("event {reference} ({event_type}) can't become a record{remedy}: {reason}")]
pub(crate) struct EventError {
    /// `7@order-42`.
    reference: String,
    event_type: String,
    /// What an operator can do where the cause can't be removed.
    remedy: String,
    reason: String,
}

impl EventError {
    /// `can_park`: the topics for parked and skipped events exist.
    pub(crate) fn new(
        route: &str,
        reference: String,
        event_type: &str,
        problem: &EventProblem,
        can_park: bool,
    ) -> Self {
        let first = if can_park { "" } else { "run `aqueduct setup` and restart the relay, then " };
        let remedy = match problem.code() {
            Some(code) => format!(
                " ({code}; to pass it: {first}`aqueduct parked park {reference} --route {route}`, or `skip` in place \
                 of `park`)"
            ),
            None => String::new(),
        };
        Self { reference, event_type: event_type.to_owned(), remedy, reason: problem.reason() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halted_lane_says_how_to_pass_the_event() {
        let text = |can_park| {
            let (reference, problem) = ("7@order-42".to_owned(), EventProblem::NotAnObject);
            EventError::new("orders", reference, "OrderPlaced", &problem, can_park).to_string()
        };
        let without_topics = text(false);
        assert!(without_topics.contains("to pass it: run `aqueduct setup` and restart"), "{without_topics}");
        let text = text(true);
        assert!(!text.contains("setup"), "{text}");
        assert!(text.contains("event 7@order-42 (OrderPlaced) can't become a record (not_json;"), "{text}");
        assert!(text.contains("`aqueduct parked park 7@order-42 --route orders`"), "{text}");
        assert!(text.ends_with(": its data is not a JSON object"), "{text}");
    }

    #[test]
    fn a_stored_reason_names_no_value() {
        let set =
            aqueduct_schema::SchemaSet::load(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas")).unwrap();
        for (event_type, version, data, code) in [
            ("Noted", 1, r#"{"text":4711}"#, Code::Payload),
            ("Noted", 9, r#"{"text":"4711"}"#, Code::UnknownVersion),
            ("Unheard", 1, r#"{"text":"4711"}"#, Code::UnknownType),
            ("Noted", 1, r#"{"text":"4711""#, Code::NotJson),
        ] {
            let problem = EventProblem::from(set.to_avro(event_type, version, data.as_bytes()).unwrap_err());
            assert_eq!(problem.code(), Some(code), "{problem}");
            assert!(!problem.reason().contains("4711"), "{}", problem.reason());
        }
        let problem = EventProblem::from(set.to_avro("Noted", 1, br#"{"text":7}"#).unwrap_err());
        assert!(problem.reason().ends_with("does not fit the schema at text"), "{}", problem.reason());
    }
}
