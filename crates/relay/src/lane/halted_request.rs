//! Requests to park or skip the event at which a lane is halted.

use aqueduct_core::{ErrorKind, Position, with_causes};
use bytes::Bytes;

use crate::error::LaneError;
use crate::lane::blocked_event::BlockedEvent;
use crate::lane::context::LaneContext;
use crate::record::partition::partition_of;
use crate::record::reference::EventReference;
use crate::record::request::{ParkedFilter, Request};

/// A request to park or skip the event at which the lane is halted, or may halt.
pub(crate) struct HaltedRequest {
    pub(crate) id: Bytes,
    pub(crate) request: Request,
    pub(crate) event: EventReference,
    pub(crate) position: Position,
}

impl HaltedRequest {
    /// Why it fails where the lane has passed its event.
    pub(crate) fn passed_reason(&self) -> String {
        format!(
            "the lane has passed {}: it is relayed, an exception (see `aqueduct parked show`), or not the route's",
            self.event
        )
    }
}

/// The event that an operator wants to be parked or skipped, with its position, or why there is none. `blocked` is the
/// event at which the lane waits.
pub(crate) async fn find_requested_event(
    context: &LaneContext,
    selection: &ParkedFilter,
    blocked: Option<&BlockedEvent>,
) -> Result<Result<(EventReference, Position), String>, LaneError> {
    let ParkedFilter { stream: Some(stream), revision: Some(revision), .. } = selection else {
        return Ok(Err("a request to park or skip names one event: stream and revision".to_owned()));
    };
    let event = EventReference { stream: stream.as_str().into(), revision: *revision };
    // The store may have lost the event in the meantime, or refuse to read its stream.
    if let Some(blocked) = blocked.filter(|it| it.is_at(&event)) {
        return Ok(Ok((event, blocked.event.position)));
    }
    let found = match context.store.read_stream(&event.stream, event.revision, 1).await {
        Err(error) if error.kind == ErrorKind::Retry => return Err(error.into()),
        // An answer: the lane would meet the same request and the same refusal in every session.
        Err(error) => return Ok(Err(with_causes(&error))),
        Ok(found) => found,
    };
    let definition = &context.definition;
    Ok(match found.into_iter().find(|it| it.revision == event.revision) {
        None => Err(format!("the store has no event {event}")),
        Some(_) if partition_of(event.stream.as_str(), definition.lanes) != definition.lane => {
            Err(format!("{} does not belong to lane {}", event.stream, definition.lane))
        }
        Some(found) => Ok((event, found.position)),
    })
}
