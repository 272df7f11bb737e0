//! The response to a command.

use aqueduct::{CommandResult, DomainEvent, Position, StreamName};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Problem;

/// The result of a command: `201 Created` the first time, `200 OK` with `"repeated": true` when the same request
/// is sent again with its idempotency key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResponse {
    /// The stream of the aggregate.
    pub stream: StreamName,
    /// The command had been executed before: these are the events it appended then.
    #[serde(rename = "repeated")]
    pub duplicate: bool,
    /// Position of the last appended event in `$all`; null if nothing was appended now.
    pub position: Option<Position>,
    /// The events of the command.
    pub events: Vec<ResponseEvent>,
}

/// An event in a [`CommandResponse`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ResponseEvent {
    /// Event type, for example `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event in its latest version.
    pub data: Box<RawValue>,
}

impl CommandResponse {
    pub(crate) fn new<E: DomainEvent>(
        stream: StreamName,
        result: &CommandResult<E>,
    ) -> Result<Self, Problem> {
        let events = result.events.iter().map(ResponseEvent::new).collect::<Result<_, _>>();
        let events = events.map_err(|error| Problem::internal(&error))?;
        Ok(Self { stream, duplicate: result.duplicate, position: result.position, events })
    }

    /// Status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        if self.duplicate { StatusCode::OK } else { StatusCode::CREATED }
    }
}

impl ResponseEvent {
    fn new<E: DomainEvent>(event: &E) -> Result<Self, serde_json::Error> {
        let data = serde_json::from_slice(&event.to_json()?)?;
        Ok(Self { event_type: event.event_type().to_owned(), data })
    }
}

impl IntoResponse for CommandResponse {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}
