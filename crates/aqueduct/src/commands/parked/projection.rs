//! Events that a projection or reactor parked.

mod follow;

use std::process::ExitCode;

use aqueduct_projection::parked::{self, ParkedEvent, ParkedFilter, ParkedRecord, ParkedState};
use serde_json::{Value, json};

use self::follow::follow;
use super::{hexadecimal, nothing_discarded};
use crate::connections::Connections;
use crate::failure::Failure;

/// Rows read from Postgres at a time.
const PAGE: u32 = 500;

/// Prints the first selected events.
pub(super) async fn list(
    connections: &Connections,
    selection: &ParkedFilter,
    limit: u32,
    json: bool,
) -> Result<(), Failure> {
    let events = parked::list(&connections.postgres()?, selection, 0, limit).await?;
    print_events(&events, json);
    Ok(())
}

/// Prints the event with this id.
pub(super) async fn show(
    connections: &Connections,
    id: i64,
    with_payload: bool,
) -> Result<ExitCode, Failure> {
    let record = parked::show(&connections.postgres()?, id).await?;
    let record = record.ok_or_else(|| format!("no event with id {id} is parked: see `parked list`"))?;
    print_record(&record, with_payload);
    Ok(ExitCode::SUCCESS)
}

/// Sends a request to replay the selected events and follows it.
pub(super) async fn replay(connections: &Connections, selection: &ParkedFilter) -> Result<ExitCode, Failure> {
    let pool = connections.postgres()?;
    let request = parked::replay(&pool, selection).await?;
    follow(&pool, "replay", request).await
}

/// Sends a request to discard the selected events and follows it; without `confirmed` prints the events.
pub(super) async fn discard(
    connections: &Connections,
    selection: &ParkedFilter,
    confirmed: bool,
) -> Result<ExitCode, Failure> {
    let pool = connections.postgres()?;
    if confirmed {
        let request = parked::discard(&pool, selection).await?;
        return follow(&pool, "discard", request).await;
    }
    let mut after = 0;
    loop {
        let events = parked::list(&pool, selection, after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = last.id;
        let parked: Vec<_> = events.into_iter().filter(|event| event.state == ParkedState::Parked).collect();
        print_events(&parked, false);
    }
    Ok(nothing_discarded())
}

#[expect(clippy::print_stdout, reason = "the list is the command's output")]
fn print_events(events: &[ParkedEvent], json: bool) {
    for event in events {
        if json {
            println!("{}", to_json(event));
        } else {
            let ParkedEvent { id, projection, state, code, reason, parked_at, .. } = event;
            let state = state.as_str();
            println!("{id}  {parked_at:.3}  {projection}  {}  {state}  {code}: {reason}", reference(event));
        }
    }
}

fn to_json(event: &ParkedEvent) -> Value {
    json!({
        "id": event.id, "projection": event.projection, "topic": event.topic, "partition": event.partition,
        "offset": event.offset, "stream": event.stream, "revision": event.revision,
        "eventType": event.event_type, "state": event.state.as_str(), "code": event.code.as_str(),
        "reason": event.reason, "parkedAt": format!("{:.3}", event.parked_at),
    })
}

#[expect(clippy::print_stdout, reason = "the event is the command's output")]
fn print_record(record: &ParkedRecord, with_payload: bool) {
    let ParkedRecord { event, key, payload, headers } = record;
    println!("{}  {}  {}", reference(event), event.projection, event.state.as_str());
    println!("{}: {}", event.code, event.reason);
    println!("record: {} partition {} offset {}", event.topic, event.partition, event.offset);
    for (name, value) in headers.iter() {
        println!("{name}: {}", value.map_or_else(|| "none".into(), String::from_utf8_lossy));
    }
    if with_payload {
        println!("key: {}", hexadecimal(key.as_deref()));
        println!("payload: {}", hexadecimal(payload.as_deref()));
    }
}

/// `7@order-42`, as far as the record tells.
fn reference(event: &ParkedEvent) -> String {
    let revision = event.revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
    format!("{revision}@{}", event.stream)
}
