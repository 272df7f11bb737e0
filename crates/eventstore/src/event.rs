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
        .and_then(|ticks| of_ticks(ticks.parse().ok()?))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// In 64 bits: numbers of 128 bits, which nanoseconds need, are several times slower to read and to divide.
fn of_ticks(ticks: i64) -> Option<Timestamp> {
    const PER_SECOND: i64 = 10_000_000;
    let nanoseconds = i32::try_from(ticks % PER_SECOND * 100).ok()?;
    Timestamp::new(ticks / PER_SECOND, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_units_of_100_nanoseconds() {
        for ticks in
            [0, 1, -1, 9_999_999, 10_000_000, -10_000_001, 16_776_576_781_130_001, i64::MIN, i64::MAX]
        {
            assert_eq!(of_ticks(ticks), Timestamp::from_nanosecond(i128::from(ticks) * 100).ok(), "{ticks}");
        }
    }
}
