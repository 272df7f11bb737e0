//! What a caller is told about a command.

use aqueduct::{Answer, DomainEvent, Position, StreamName};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Problem;

/// The outcome of a command: `201 Created` the first time, `200 OK` with `"repeated": true` when the same
/// idempotency key comes again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandAnswer {
    /// The stream of the aggregate.
    pub stream: StreamName,
    /// The command had been answered before: these are the events of then.
    pub repeated: bool,
    /// Place of the last appended event in `$all`; null where nothing was appended now.
    pub position: Option<Position>,
    /// What happened.
    pub events: Vec<AnsweredEvent>,
}

/// An event in a [`CommandAnswer`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AnsweredEvent {
    /// `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event in its latest version.
    pub data: Box<RawValue>,
}

impl CommandAnswer {
    pub(crate) fn new<E: DomainEvent>(stream: StreamName, answer: &Answer<E>) -> Result<Self, Problem> {
        let events = answer.events.iter().map(AnsweredEvent::new).collect::<Result<_, _>>();
        let events = events.map_err(|error| Problem::internal(&error))?;
        Ok(Self { stream, repeated: answer.repeated, position: answer.position, events })
    }

    /// Status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        if self.repeated { StatusCode::OK } else { StatusCode::CREATED }
    }
}

impl AnsweredEvent {
    fn new<E: DomainEvent>(event: &E) -> Result<Self, serde_json::Error> {
        let data = serde_json::from_slice(&event.to_json()?)?;
        Ok(Self { event_type: event.event_type().to_owned(), data })
    }
}

impl IntoResponse for CommandAnswer {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}
