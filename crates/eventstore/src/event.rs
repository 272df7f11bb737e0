//! Conversion between core's events and the client's.

use aqueduct_core::{ContentType, NewEvent, Position, RecordedEvent, StreamName};
use eventstore::EventData;
use jiff::Timestamp;
use serde_json::value::RawValue;

/// The client serialises every payload; a raw value passes unchanged once it is known to be JSON.
pub(crate) fn to_client(event: &NewEvent) -> serde_json::Result<EventData> {
    let data: &RawValue = serde_json::from_slice(&event.data)?;
    let mapped = EventData::json(&event.event_type, &data)?.id(event.id);
    Ok(if event.metadata.is_empty() { mapped } else { mapped.metadata(event.metadata.clone()) })
}

/// `None` for a resolved link whose target does not exist.
pub(crate) fn from_client(event: eventstore::ResolvedEvent) -> Option<RecordedEvent> {
    let event = event.link.or(event.event)?;
    Some(RecordedEvent {
        created: created(&event),
        stream: StreamName::from(event.stream_id),
        revision: event.revision,
        position: position(event.position),
        id: event.id,
        event_type: event.event_type,
        content_type: if event.is_json { ContentType::Json } else { ContentType::Binary },
        data: event.data,
        metadata: event.custom_metadata,
    })
}

pub(crate) fn position(position: eventstore::Position) -> Position {
    Position { commit: position.commit, prepare: position.prepare }
}

/// The client's `created` is truncated to seconds; the metadata has the server's ticks of 100 ns.
fn created(event: &eventstore::RecordedEvent) -> Timestamp {
    event
        .metadata
        .get("created")
        .and_then(|ticks| ticks.parse::<i128>().ok())
        .and_then(|ticks| Timestamp::from_nanosecond(ticks * 100).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
