//! Events that a route selects and that are not in its topic.

use std::fmt;
use std::sync::Arc;

use aqueduct_core::{Position, Revision};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::Record;
use crate::record::code::Code;
use crate::record::header_block::HeaderBlock;
use crate::record::reference::EventReference;

/// Version of the JSON form.
const VERSION: u32 = 1;

/// Longest reason that is stored, in bytes.
const MOST_REASON: usize = 1024;

/// Longest value that is read. A longer one was not written by a relay.
const MOST_BYTES: usize = 8 * 1024;

/// What became of an event that is not in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExceptionState {
    /// It waits in the route's parked topic, to be replayed or discarded. The later events of its stream wait
    /// behind it.
    Parked,
    /// The route's policy, or an operator, left it out.
    Skipped,
    /// An operator left it out after it had been parked.
    Discarded,
}

impl ExceptionState {
    /// The text that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Skipped => "skipped",
            Self::Discarded => "discarded",
        }
    }
}

/// Number of exceptions by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionCounts {
    /// Parked events.
    pub parked: u64,
    /// Skipped events.
    pub skipped: u64,
    /// Discarded events.
    pub discarded: u64,
}

impl ExceptionCounts {
    pub(crate) fn of(&mut self, state: ExceptionState) -> &mut u64 {
        match state {
            ExceptionState::Parked => &mut self.parked,
            ExceptionState::Skipped => &mut self.skipped,
            ExceptionState::Discarded => &mut self.discarded,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ExceptionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parked, skipped, discarded } = self;
        write!(f, "{parked} parked, {skipped} skipped and {discarded} discarded events")
    }
}

/// The revision of the stream's last record before an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastRelayed {
    /// Not known: the stream was truncated or deleted, the search for it would read too many events, or it is not final
    /// because an earlier event of the stream is parked.
    #[default]
    Unknown,
    /// No event of the stream before it is a record.
    None,
    /// This revision.
    Revision(Revision),
}

impl LastRelayed {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

impl Serialize for LastRelayed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Left out where it is a field.
            Self::Unknown | Self::None => serializer.serialize_none(),
            Self::Revision(revision) => serializer.serialize_u64(*revision),
        }
    }
}

impl<'de> Deserialize<'de> for LastRelayed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Revision>::deserialize(deserializer)?.map_or(Self::None, Self::Revision))
    }
}

/// An event that the route selects and that is not in its topic. Stored as JSON in the lane's partition of the
/// route's exceptions topic under the event's reference, in the transaction of the batch that passed the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    version: u32,
    /// What became of the event.
    pub state: ExceptionState,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people. Names no value of the event.
    pub reason: String,
    /// The event's place in `$all`.
    #[serde(serialize_with = "both")]
    pub position: Position,
    /// The stream's last record before the event.
    #[serde(default, skip_serializing_if = "LastRelayed::is_unknown")]
    pub last: LastRelayed,
}

/// Always an object with both numbers, so that readers need one form only.
fn both<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Both {
        commit: u64,
        prepare: u64,
    }
    Both { commit: position.commit, prepare: position.prepare }.serialize(serializer)
}

/// A record of the exceptions topic is not an exception.
#[derive(Debug, thiserror::Error)]
#[error("not an exception of this version of the relay")]
pub struct ExceptionError(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl ExceptionError {
    /// The key is not a reference.
    pub(crate) fn key() -> Self {
        Self(Some("the key is not revision@stream".into()))
    }
}

impl Exception {
    /// A reason beyond 1 KiB is cut.
    pub(crate) fn new(
        state: ExceptionState,
        code: Code,
        mut reason: String,
        position: Position,
        last: LastRelayed,
    ) -> Self {
        reason.truncate(reason.floor_char_boundary(MOST_REASON));
        Self { version: VERSION, state, code, reason, position, last }
    }

    #[expect(clippy::expect_used, reason = "a struct of strings and numbers always has a JSON form")]
    fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("an exception as JSON").into()
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, ExceptionError> {
        if json.len() > MOST_BYTES {
            return Err(ExceptionError(None));
        }
        let parsed: Self =
            serde_json::from_slice(json).map_err(|error| ExceptionError(Some(error.into())))?;
        if parsed.version == VERSION { Ok(parsed) } else { Err(ExceptionError(None)) }
    }

    /// The record that stores it.
    pub(crate) fn record(&self, topic: &Arc<str>, lane: u32, event: &EventReference) -> Record {
        Record {
            topic: Arc::clone(topic),
            partition: lane as i32,
            key: event.to_string().into(),
            value: Some(self.to_json()),
            headers: HeaderBlock::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exception(last: LastRelayed) -> Exception {
        let position = Position { commit: 1234, prepare: 1200 };
        Exception::new(ExceptionState::Parked, Code::Payload, "at `total`".to_owned(), position, last)
    }

    #[test]
    fn its_json_is_what_the_format_says() {
        let value = |last| serde_json::to_value(exception(last)).unwrap();
        let mut expected = serde_json::json!({
            "version": 1, "state": "parked", "code": "payload", "reason": "at `total`",
            "position": {"commit": 1234, "prepare": 1200},
        });
        assert_eq!(value(LastRelayed::Unknown), expected);
        expected["last"] = serde_json::Value::Null;
        assert_eq!(value(LastRelayed::None), expected);
        expected["last"] = 6.into();
        assert_eq!(value(LastRelayed::Revision(6)), expected);
        let at = Exception { position: Position::at(7), ..exception(LastRelayed::None) };
        assert_eq!(
            serde_json::to_value(at).unwrap()["position"],
            serde_json::json!({"commit": 7, "prepare": 7})
        );
    }

    #[test]
    fn what_is_not_an_exception_is_refused() {
        let json = String::from_utf8(exception(LastRelayed::None).to_json().to_vec()).unwrap();
        Exception::parse(json.as_bytes()).unwrap();
        for (from, to) in [
            (r#""version":1"#, r#""version":2"#),
            (r#""state":"parked""#, r#""state":"lost""#),
            (r#""code":"payload""#, r#""code":"other""#),
            (r#""last":null"#, r#""last":-1"#),
            (r#""last":null"#, r#""later":1"#),
            (r#"1200}"#, r#"1200"#),
        ] {
            Exception::parse(json.replace(from, to).as_bytes()).expect_err(to);
        }
        let long = Exception { reason: "x".repeat(MOST_BYTES), ..exception(LastRelayed::None) };
        Exception::parse(&long.to_json()).unwrap_err();
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "é".repeat(MOST_REASON);
        let Exception { reason, .. } = Exception::new(
            ExceptionState::Skipped,
            Code::NotJson,
            format!("x{long}"),
            Position::at(1),
            LastRelayed::None,
        );
        assert_eq!(reason.len(), MOST_REASON - 1);
    }

    fn any_last() -> impl Strategy<Value = LastRelayed> {
        prop_oneof![
            Just(LastRelayed::Unknown),
            Just(LastRelayed::None),
            any::<u64>().prop_map(LastRelayed::Revision)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            state in prop::sample::select(vec![
                ExceptionState::Parked, ExceptionState::Skipped, ExceptionState::Discarded,
            ]),
            code in prop::sample::select(Code::ALL.to_vec()),
            reason in ".{0,300}", commit: u64, prepare: u64, last in any_last(),
        ) {
            let written = Exception::new(state, code, reason, Position { commit, prepare }, last);
            prop_assert_eq!(Exception::parse(&written.to_json()).unwrap(), written);
        }
    }
}
