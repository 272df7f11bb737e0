//! Events that the relay did not relay.

mod follow;

use std::process::ExitCode;
use std::time::Duration;

use aqueduct_relay::parked::{
    Action, Code, EventReference, ExceptionEntry, ExceptionState, LastRelayed, ParkedEvent, ParkedEvents,
    ParkedFilter,
};
use serde_json::{Value, json};

use self::follow::follow;
use super::{HaltedEvent, hexadecimal, nothing_discarded};
use crate::connections::Connections;
use crate::failure::Failure;

/// One of the routes.
pub(super) fn route(connections: &Connections, name: &str) -> Result<ParkedEvents, Failure> {
    let routes = routes(connections)?;
    let known = routes.iter().map(|it| it.route().to_owned()).collect::<Vec<_>>().join(", ");
    let found = routes.into_iter().find(|it| it.route() == name);
    found.ok_or_else(|| format!("there is no route \"{name}\", only: {known}").into())
}

/// All routes.
pub(super) fn routes(connections: &Connections) -> Result<Vec<ParkedEvents>, Failure> {
    let configuration = connections.configuration();
    let (cluster, options) = (configuration.cluster()?, configuration.relay_options());
    let events = options.routes.iter().map(|route| ParkedEvents::new(cluster.clone(), &options, route));
    Ok(events.collect())
}

/// Whether Kafka and a route are configured.
pub(super) fn is_configured(connections: &Connections) -> bool {
    let configuration = connections.configuration();
    configuration.cluster().is_ok() && !configuration.relay.routes.is_empty()
}

/// After this time a command prints that it waits for Kafka.
const HINT_AFTER: Duration = Duration::from_secs(5);

/// Runs a blocking call on tokio's pool for such calls.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, aqueduct_relay::LaneError> + Send + 'static,
) -> Result<T, Failure> {
    let mut task = tokio::task::spawn_blocking(call);
    let done = match tokio::time::timeout(HINT_AFTER, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            eprintln!(
                "waiting for Kafka: a transaction that a killed relay has left open ends when another relay starts, or \
                 after relay.transaction_timeout_ms"
            );
            task.await
        }
    };
    Ok(done??)
}

/// What to print of the selected events.
pub(super) enum ListMode {
    /// The first ones.
    First { limit: u32, json: bool },
    /// Those that are parked.
    Parked,
}

/// Prints selected events of a route.
pub(super) async fn list(
    events: ParkedEvents,
    selection: ParkedFilter,
    shown: ListMode,
) -> Result<(), Failure> {
    let route = events.route().to_owned();
    let listed = blocking(move || events.list(&selection)).await?;
    match shown {
        ListMode::First { limit, json } => {
            listed.iter().take(limit as usize).for_each(|it| print(&route, it, json));
        }
        ListMode::Parked => {
            let parked = listed.iter().filter(|it| it.exception.state == ExceptionState::Parked);
            parked.for_each(|it| print(&route, it, false));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the command's output")]
fn print(route: &str, listed: &ExceptionEntry, json: bool) {
    if json {
        println!("{}", to_json(route, listed));
        return;
    }
    let ExceptionEntry { event, exception, decided_at } = listed;
    let decided_at = decided_at.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let (state, code, reason) = (exception.state.as_str(), exception.code, &exception.reason);
    println!("{decided_at}  route {route}  {event}  {state}  {code}: {reason}");
}

fn to_json(route: &str, listed: &ExceptionEntry) -> Value {
    let ExceptionEntry { event, exception, decided_at } = listed;
    json!({
        "route": route, "event": event.to_string(), "stream": event.stream.as_str(), "revision": event.revision,
        "state": exception.state.as_str(), "code": exception.code.as_str(), "reason": exception.reason,
        "position": exception.position, "decidedAt": decided_at.map(|it| it.to_string()),
    })
}

/// An event that a route did not relay.
struct Found {
    route: String,
    listed: ExceptionEntry,
    /// The event itself, unless its parked copy is gone or it was not parked.
    parked: Option<ParkedEvent>,
}

/// Prints an event of the route, or of all routes without one.
pub(super) async fn show(
    connections: &Connections,
    event: EventReference,
    of: Option<&str>,
    with_payload: bool,
) -> Result<ExitCode, Failure> {
    let routes = match of {
        Some(name) => vec![route(connections, name)?],
        None => routes(connections)?,
    };
    let mut found = Vec::new();
    for events in routes {
        found.extend(find(events, event.clone()).await?);
    }
    if found.is_empty() {
        return Err(format!("{event} is neither parked nor skipped nor discarded: see `parked list`").into());
    }
    found.iter().for_each(|found| print_found(found, with_payload));
    Ok(ExitCode::SUCCESS)
}

async fn find(events: ParkedEvents, event: EventReference) -> Result<Option<Found>, Failure> {
    let route = events.route().to_owned();
    let found = blocking(move || events.show(&event)).await?;
    Ok(found.map(|(listed, parked)| Found { route, listed, parked }))
}

#[expect(clippy::print_stdout, reason = "the event is the command's output")]
fn print_found(found: &Found, with_payload: bool) {
    let Found { route, listed: ExceptionEntry { event, exception, decided_at }, parked } = found;
    println!("{event}  route {route}  {}", exception.state.as_str());
    println!("{}: {}", exception.code, exception.reason);
    if let Some(decided_at) = decided_at {
        println!("decided at: {decided_at}");
    }
    println!("position: {}/{}", exception.position.commit, exception.position.prepare);
    let last = match exception.last {
        LastRelayed::Unknown => "not known yet".to_owned(),
        LastRelayed::None => "none".to_owned(),
        LastRelayed::Revision(revision) => revision.to_string(),
    };
    println!("last relayed revision before it: {last}");
    if let Some(ParkedEvent { event, by_reference, parked_at }) = parked {
        println!("parked at: {parked_at}");
        println!("event type: {}", event.event_type);
        println!("event id: {}", event.id);
        println!("created: {}", event.created);
        println!("content type: {}", event.content_type.as_str());
        if *by_reference {
            println!("data and metadata: too large to be parked, in the event store only");
        } else if with_payload {
            println!("metadata: {}", hexadecimal(Some(&event.metadata[..])));
            println!("data: {}", hexadecimal(Some(&event.data[..])));
        }
    } else if exception.state == ExceptionState::Parked {
        println!("the parked event itself is missing: see the topic of parked events");
    }
}

/// Sends a request to replay the selected events and follows it.
pub(super) async fn replay(
    connections: &Connections,
    name: &str,
    selection: ParkedFilter,
) -> Result<ExitCode, Failure> {
    if selection.code == Some(Code::Blocked) {
        let problem = "an event with the code blocked is replayed after the first parked event of its stream: select by \
                       that event's code, or by --stream";
        return Err(problem.into());
    }
    request(route(connections, name)?, Action::Replay, selection).await
}

/// Sends a request to discard the selected events and follows it; without `confirmed` prints the events.
pub(super) async fn discard(
    connections: &Connections,
    name: &str,
    selection: ParkedFilter,
    confirmed: bool,
) -> Result<ExitCode, Failure> {
    let events = route(connections, name)?;
    if confirmed {
        return request(events, Action::Discard, selection).await;
    }
    list(events, selection, ListMode::Parked).await?;
    Ok(nothing_discarded())
}

/// Sends a request to park or to skip the event at which a lane is halted, and follows it.
pub(super) async fn resolve(
    connections: &Connections,
    action: Action,
    HaltedEvent { event, route: name }: &HaltedEvent,
) -> Result<ExitCode, Failure> {
    let selection = ParkedFilter {
        stream: Some(event.stream.to_string()),
        revision: Some(event.revision),
        ..ParkedFilter::default()
    };
    request(route(connections, name)?, action, selection).await
}

async fn request(events: ParkedEvents, action: Action, selection: ParkedFilter) -> Result<ExitCode, Failure> {
    let sent = blocking(move || events.request(action, selection)).await?;
    // Whatever happens from here on, the request is executed.
    eprintln!("{} {} is stored", action.as_str(), sent.id());
    follow(action, sent).await
}
