//! Requests of operators to a lane, and its answers.

use std::sync::Arc;

use aqueduct_core::Revision;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::record::code::Code;
use crate::record::header_block::HeaderBlock;
use crate::record::reference::EventReference;

/// Version of the JSON form.
const VERSION: u32 = 1;

/// Longest value that is read.
const MOST_BYTES: usize = 64 * 1024;

/// Longest request that may be sent: its answers, with a reason, must be readable too.
pub(crate) const MOST_SENT_BYTES: usize = MOST_BYTES / 2;

/// Longest reason of an answer, in bytes.
const MOST_REASON: usize = 4096;

/// What a lane is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Replay the streams of the selected events, each from its first parked event on.
    Replay,
    /// Discard the selected events and replay what follows them in their streams.
    Discard,
    /// Park the event at which the lane is halted.
    Park,
    /// Skip the event at which the lane is halted.
    Skip,
}

impl Action {
    /// The text that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Park => "park",
            Self::Skip => "skip",
        }
    }
}

/// Parked events that match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParkedFilter {
    /// Events of this stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Events of this revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Events with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Events that were parked at this time or before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Timestamp>,
}

impl ParkedFilter {
    /// Whether it selects a parked event.
    pub(crate) fn matches(&self, event: &EventReference, code: Code, parked_at: Timestamp) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream == event.stream.as_str())
            && self.revision.is_none_or(|revision| revision == event.revision)
            && self.code.is_none_or(|selected| selected == code)
            && self.older_than.is_none_or(|limit| parked_at <= limit)
    }
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestState {
    /// The lane works on it.
    Running,
    /// It is executed.
    Done,
    /// It cannot be executed, or not wholly: see the reason.
    Failed,
}

/// A lane's answer to a request: interim while the state is `running`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The state of the request.
    pub state: RequestState,
    /// Events that became records.
    pub replayed: u64,
    /// Events that were discarded.
    pub discarded: u64,
    /// Events that failed again, each with the later events of its stream still parked behind it.
    pub parked_again: u64,
    /// Why it failed, or why the last event was parked again.
    pub reason: Option<String>,
    /// While it is running: the offset in the lane's partition of the parked topic after the last event dealt with.
    /// The next owner of the lane continues there. Dealing with an event a second time would judge it by the reason
    /// for which it failed in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<i64>,
}

impl Answer {
    /// The answer to a request that was just begun.
    pub const fn running() -> Self {
        Self {
            state: RequestState::Running,
            replayed: 0,
            discarded: 0,
            parked_again: 0,
            reason: None,
            next_offset: None,
        }
    }

    /// A reason beyond 4 KiB is cut.
    pub(crate) fn set_reason(&mut self, mut reason: String) {
        reason.truncate(reason.floor_char_boundary(MOST_REASON));
        self.reason = Some(reason);
    }
}

/// A request, in the lane's partition of the route's requests topic under an id that its sender chose. The lane
/// answers under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    version: u32,
    /// What to do.
    pub action: Action,
    /// With which events.
    pub selection: ParkedFilter,
    /// When, by the sender's clock.
    pub requested_at: Timestamp,
    /// The answer; `None` until a lane has seen the request.
    #[serde(rename = "outcome", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// A record of the requests topic is not a request.
#[derive(Debug, thiserror::Error)]
#[error("not a request of this version of the relay")]
pub(crate) struct RequestError(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl Request {
    /// A request that nobody has answered.
    pub(crate) fn new(action: Action, selection: ParkedFilter, requested_at: Timestamp) -> Self {
        Self { version: VERSION, action, selection, requested_at, answer: None }
    }

    /// The request with an answer.
    pub(crate) fn answered(&self, answer: Answer) -> Self {
        Self { answer: Some(answer), ..self.clone() }
    }

    /// Whether nothing more will be done.
    pub(crate) fn is_finished(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.state != RequestState::Running)
    }

    #[expect(clippy::expect_used, reason = "a struct of strings, numbers and times always has a JSON form")]
    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a request as JSON").into()
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, RequestError> {
        if json.len() > MOST_BYTES {
            return Err(RequestError(None));
        }
        let parsed: Self = serde_json::from_slice(json).map_err(|error| RequestError(Some(error.into())))?;
        if parsed.version == VERSION { Ok(parsed) } else { Err(RequestError(None)) }
    }

    /// The record that stores it.
    pub(crate) fn record(&self, topic: &Arc<str>, lane: u32, id: &Bytes) -> Record {
        Record {
            topic: Arc::clone(topic),
            partition: lane as i32,
            key: id.clone(),
            value: Some(self.to_json()),
            headers: HeaderBlock::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        let selection = ParkedFilter {
            stream: Some("order-42".to_owned()),
            code: Some(Code::Payload),
            ..ParkedFilter::default()
        };
        Request::new(Action::Replay, selection, "2026-01-02T03:04:05Z".parse().unwrap())
    }

    #[test]
    fn its_json_is_what_the_format_says() {
        let mut request = request();
        let mut expected = json!({
            "version": 1, "action": "replay", "selection": {"stream": "order-42", "code": "payload"},
            "requested_at": "2026-01-02T03:04:05Z",
        });
        assert_eq!(serde_json::to_value(&request).unwrap(), expected);
        assert!(!request.is_finished());

        request.answer = Some(Answer::running());
        expected["outcome"] =
            json!({"state": "running", "replayed": 0, "discarded": 0, "parked_again": 0, "reason": null});
        assert_eq!(serde_json::to_value(&request).unwrap(), expected);
        assert!(!request.is_finished());
        assert_eq!(Request::parse(&request.to_json()).unwrap(), request);

        request.answer = Some(Answer { state: RequestState::Failed, ..Answer::running() });
        assert!(request.is_finished());
    }

    #[test]
    fn an_event_is_selected_that_matches_every_field() {
        let event: EventReference = "7@order-42".parse().unwrap();
        let parked_at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let matches = |json: serde_json::Value| {
            let selection: ParkedFilter = serde_json::from_value(json).unwrap();
            selection.matches(&event, Code::Payload, parked_at)
        };
        for json in [
            json!({}),
            json!({"stream": "order-42", "revision": 7, "code": "payload", "older_than": "2026-01-02T03:04:05Z"}),
        ] {
            assert!(matches(json.clone()), "{json}");
        }
        for json in [
            json!({"stream": "order-43"}),
            json!({"stream": "order-42", "revision": 8}),
            json!({"code": "metadata"}),
            json!({"older_than": "2026-01-02T03:04:04Z"}),
        ] {
            assert!(!matches(json.clone()), "{json}");
        }
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        let json = String::from_utf8(request().to_json().to_vec()).unwrap();
        for (from, to) in [
            (r#""version":1"#, r#""version":2"#),
            ("replay", "forget"),
            (r#""stream""#, r#""streams""#),
            ("2026-01-02", "yesterday"),
        ] {
            assert!(json.contains(from), "{json}");
            Request::parse(json.replace(from, to).as_bytes()).expect_err(to);
        }
        let mut long = request();
        long.selection.stream = Some("x".repeat(MOST_BYTES));
        Request::parse(&long.to_json()).unwrap_err();
    }

    #[test]
    fn the_largest_request_is_readable_with_its_answer() {
        let mut request = request();
        let rest = MOST_SENT_BYTES - request.to_json().len();
        request.selection.stream.iter_mut().for_each(|it| it.push_str(&"x".repeat(rest)));
        assert_eq!(request.to_json().len(), MOST_SENT_BYTES);
        let mut answer = Answer::running();
        // Each takes six bytes in JSON.
        answer.set_reason("\u{1}".repeat(MOST_BYTES));
        Request::parse(&request.answered(answer).to_json()).unwrap();
    }
}
