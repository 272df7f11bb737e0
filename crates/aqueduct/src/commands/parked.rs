//! `parked`: list, show, replay and discard the parked events of projections and of the relay.

mod progress;
mod relay;

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use aqueduct_projection::parked::{self, ParkedEvent, ParkedRecord, ParkedState, Selection};
use aqueduct_relay::parked::{Action, EventReference};
use serde_json::{Value, json};

use self::progress::follow;
use crate::app::Failure;
use crate::connections::Connections;

/// For how long no owner may have seen a request before it is reported that none is running: longer than a rebalance
/// takes.
const OWNER_TIMEOUT: Duration = Duration::from_secs(20);

/// Rows read from Postgres at a time.
const PAGE: u32 = 500;

#[derive(clap::Subcommand)]
pub(super) enum ParkedCommand {
    /// List parked, skipped and discarded events, oldest first
    ///
    /// Events of the relay's routes, then those of the projections, each as far as it is configured.
    List {
        #[command(flatten)]
        selection: Arguments,
        /// Show at most this many
        #[arg(long, value_name = "N", default_value = "100")]
        limit: NonZeroU32,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one parked event with its headers and the reason
    Show {
        /// An id as `list` shows it for a projection, or `revision@stream` for a route of the relay
        event: String,
        /// Search only this route
        #[arg(long, value_name = "NAME")]
        route: Option<String>,
        /// Also print key and payload, in hexadecimal
        #[arg(long)]
        payload: bool,
    },
    /// Park the event at which the lane of a route is halted, so that the lane continues
    ///
    /// The later events of its stream are parked behind it. If the lane has not reached the event, the request waits.
    Park {
        #[command(flatten)]
        halted: HaltedEvent,
    },
    /// Skip the event at which the lane of a route is halted, so that the lane continues
    ///
    /// The event is recorded as skipped and never relayed.
    Skip {
        #[command(flatten)]
        halted: HaltedEvent,
    },
    /// Replay the streams of the selected events, each from its first parked event on
    ///
    /// With --route events of the relay, else those of projections.
    Replay {
        #[command(flatten)]
        selection: Arguments,
        /// Select all parked events
        #[arg(long)]
        all: bool,
    },
    /// Discard the selected events and replay what follows them in their streams
    ///
    /// With --route events of the relay, else those of projections. A projection then counts every revision up to the
    /// discarded one as applied, also one that has not arrived yet.
    Discard {
        #[command(flatten)]
        selection: Arguments,
        /// Select all parked events
        #[arg(long)]
        all: bool,
        /// Discard; without it the command only shows what it would discard
        #[arg(long)]
        yes: bool,
    },
}

/// The event at which a lane is halted.
#[derive(clap::Args)]
pub(super) struct HaltedEvent {
    /// `revision@stream`, as the halted lane names it
    event: EventReference,
    /// The route whose lane is halted
    #[arg(long, value_name = "NAME")]
    route: String,
}

/// Events are selected that match all of these.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Events that this route of the relay did not relay
    #[arg(long, value_name = "NAME", conflicts_with_all = ["projection", "topic"])]
    route: Option<String>,
    /// Events of this projection or reactor
    #[arg(long, value_name = "NAME")]
    projection: Option<String>,
    /// Events of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Events of this stream
    #[arg(long)]
    stream: Option<String>,
    /// Events of this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Events parked for this reason; projections: headers, source, unknown_type, payload, panic, row, reaction, gap,
    /// blocked; relay: unmapped_type, metadata, versions_differ, not_json, unknown_type, unknown_version, payload,
    /// upcast, too_large, blocked, requested
    #[arg(long)]
    code: Option<String>,
    /// Events parked at least this long ago, for example 30m or 48h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration =
        text.parse().map_err(|_| "write a time such as 90s, 30m or 48h".to_owned())?;
    time.try_into().map_err(|_| "it must not be negative".to_owned())
}

impl Arguments {
    fn selection(&self) -> Result<Selection, Failure> {
        Ok(Selection {
            projection: self.projection.clone(),
            topic: self.topic.clone(),
            stream: self.stream.clone(),
            revision: self.revision,
            code: self.code.as_ref().map(|code| code.parse()).transpose()?,
            older_than: self.older_than,
        })
    }

    /// For what changes something: everything must be asked for by name.
    fn selection_or_all(&self, all: bool) -> Result<Selection, Failure> {
        let selection = self.selection()?;
        Self::expect_choice(selection == Selection::default(), all)?;
        Ok(selection)
    }

    fn expect_choice(selects_all: bool, all: bool) -> Result<(), Failure> {
        match (selects_all, all) {
            (true, false) => {
                Err("select events, for example with --stream, or all of them with --all".into())
            }
            (false, true) => Err("--all and a selection exclude each other".into()),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// The same for a route.
    fn of_route_or_all(&self, all: bool) -> Result<aqueduct_relay::parked::Selection, Failure> {
        let selection = relay::selection(self)?;
        Self::expect_choice(selection == Default::default(), all)?;
        Ok(selection)
    }
}

/// Needs Kafka for the relay's events, Postgres for those of projections. Requests are executed by the running relays
/// and projections; the command waits for them.
pub(super) async fn run(command: &ParkedCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    match command {
        ParkedCommand::List { selection, limit, json } => list(selection, *limit, *json, connections).await,
        ParkedCommand::Show { event, route, payload } => {
            show(event, route.as_deref(), *payload, connections).await
        }
        ParkedCommand::Park { halted } => pass(Action::Park, halted, connections).await,
        ParkedCommand::Skip { halted } => pass(Action::Skip, halted, connections).await,
        ParkedCommand::Replay { selection, all } => match &selection.route {
            Some(route) => {
                let (events, selected) =
                    (relay::route(connections, route)?, selection.of_route_or_all(*all)?);
                relay::request(events, Action::Replay, selected).await
            }
            None => {
                let pool = connections.postgres()?;
                let request = parked::replay(&pool, &selection.selection_or_all(*all)?).await?;
                follow(&pool, "replay", request).await
            }
        },
        ParkedCommand::Discard { selection, all, yes } => match &selection.route {
            Some(route) => {
                let (events, selected) =
                    (relay::route(connections, route)?, selection.of_route_or_all(*all)?);
                if *yes {
                    return relay::request(events, Action::Discard, selected).await;
                }
                relay::list(events, selected, relay::Shown::Parked).await?;
                Ok(nothing_discarded())
            }
            None => discard(selection, *all, *yes, connections).await,
        },
    }
}

async fn list(
    arguments: &Arguments,
    limit: NonZeroU32,
    json: bool,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let names_projections = arguments.projection.is_some() || arguments.topic.is_some();
    let routes = match &arguments.route {
        Some(route) => vec![relay::route(connections, route)?],
        None if names_projections || !relay::is_configured(connections) => Vec::new(),
        None => relay::routes(connections)?,
    };
    let has_routes = !routes.is_empty();
    // A code that only the relay has selects nothing of the projections, and the other way round.
    let (of_routes, of_projections) = match (relay::selection(arguments), arguments.selection()) {
        (Err(error), _) if arguments.route.is_some() => return Err(error),
        (_, Err(error)) if !has_routes => return Err(error),
        (Err(of_routes), Err(of_projections)) => return Err(format!("{of_projections}; {of_routes}").into()),
        (of_routes, of_projections) => (of_routes.ok(), of_projections.ok()),
    };
    if let Some(selection) = of_routes {
        for events in routes {
            relay::list(events, selection.clone(), relay::Shown::First { limit: limit.get(), json }).await?;
        }
    }
    let has_postgres = connections.configuration().postgres.configured().is_some();
    if let Some(selection) = of_projections
        && arguments.route.is_none()
        && (has_postgres || names_projections || !has_routes)
    {
        let events = parked::list(&connections.postgres()?, &selection, 0, limit.get()).await?;
        print_events(&events, json);
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(
    event: &str,
    route: Option<&str>,
    payload: bool,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    if let Ok(id) = event.parse::<i64>() {
        let record = parked::show(&connections.postgres()?, id).await?;
        let record = record.ok_or_else(|| format!("no event with id {id} is parked: see `parked list`"))?;
        print_record(&record, payload);
        return Ok(ExitCode::SUCCESS);
    }
    let event: EventReference = event.parse()?;
    let routes = match route {
        Some(route) => vec![relay::route(connections, route)?],
        None => relay::routes(connections)?,
    };
    let mut found = Vec::new();
    for events in routes {
        found.extend(relay::find(events, event.clone()).await?);
    }
    if found.is_empty() {
        return Err(format!("{event} is neither parked nor skipped nor discarded: see `parked list`").into());
    }
    found.iter().for_each(|found| relay::print_found(found, payload));
    Ok(ExitCode::SUCCESS)
}

async fn pass(
    action: Action,
    HaltedEvent { event, route }: &HaltedEvent,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let selection = aqueduct_relay::parked::Selection {
        stream: Some(event.stream.to_string()),
        revision: Some(event.revision),
        ..Default::default()
    };
    relay::request(relay::route(connections, route)?, action, selection).await
}

async fn discard(
    arguments: &Arguments,
    all: bool,
    yes: bool,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let (pool, selection) = (connections.postgres()?, arguments.selection_or_all(all)?);
    if yes {
        let request = parked::discard(&pool, &selection).await?;
        return follow(&pool, "discard", request).await;
    }
    let mut after = 0;
    loop {
        let events = parked::list(&pool, &selection, after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = last.id;
        let parked: Vec<_> = events.into_iter().filter(|event| event.state == ParkedState::Parked).collect();
        print_events(&parked, false);
    }
    Ok(nothing_discarded())
}

fn nothing_discarded() -> ExitCode {
    eprintln!("nothing was discarded: add --yes to discard these events");
    ExitCode::SUCCESS
}

/// `7@order-42`, as far as the record tells.
fn reference(event: &ParkedEvent) -> String {
    let revision = event.revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
    format!("{revision}@{}", event.stream)
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

fn hexadecimal(bytes: Option<&[u8]>) -> String {
    match bytes {
        Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_projection::parked::ReasonCode;
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: ParkedCommand,
    }

    fn parse(line: &str) -> Result<ParkedCommand, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.command)
    }

    fn selected(line: &str) -> Result<Selection, String> {
        match parse(line).map_err(|error| error.to_string())? {
            ParkedCommand::Replay { selection, all } | ParkedCommand::Discard { selection, all, .. } => {
                selection.selection_or_all(all).map_err(|error| error.to_string())
            }
            ParkedCommand::List { .. }
            | ParkedCommand::Show { .. }
            | ParkedCommand::Park { .. }
            | ParkedCommand::Skip { .. } => panic!("{line}"),
        }
    }

    #[test]
    fn everything_must_be_asked_for_by_name() {
        assert!(selected("parked replay").unwrap_err().contains("--all"));
        assert!(selected("parked discard --yes").unwrap_err().contains("--all"));
        assert!(selected("parked replay --all --stream order-1").unwrap_err().contains("exclude"));
        assert_eq!(selected("parked replay --all").unwrap(), Selection::default());
        let stream = selected("parked replay --stream order-1").unwrap().stream;
        assert_eq!(stream.as_deref(), Some("order-1"));
        assert_eq!(selected("parked replay --code gap").unwrap().code, Some(ReasonCode::Gap));
        assert!(selected("parked replay --code not_json").unwrap_err().contains("reaction, gap, blocked"));
    }

    #[test]
    fn a_route_is_the_relays() {
        let of_route = |line: &str| match parse(line) {
            Ok(ParkedCommand::Replay { selection, all }) => {
                selection.of_route_or_all(all).map_err(|error| error.to_string())
            }
            Ok(_) => panic!("{line}"),
            Err(error) => Err(error.to_string()),
        };
        assert!(of_route("parked replay --route orders").unwrap_err().contains("--all"));
        assert_eq!(of_route("parked replay --route orders --all").unwrap(), Default::default());
        let by_code = of_route("parked replay --route orders --code not_json").unwrap();
        assert_eq!(by_code.code, Some(aqueduct_relay::parked::Code::NotJson));
        assert!(of_route("parked replay --route orders --code gap").unwrap_err().contains("not_json"));
        assert!(
            of_route("parked replay --route orders --projection p").unwrap_err().contains("--projection")
        );

        let Ok(ParkedCommand::Park { halted }) = parse("parked park 7@order-42 --route orders") else {
            panic!("a halted event is parked by name")
        };
        assert_eq!((halted.event.to_string().as_str(), &*halted.route), ("7@order-42", "orders"));
        assert!(parse("parked park 7@order-42").is_err(), "the route is not guessed");
    }

    #[test]
    fn an_age_is_a_time_with_its_unit() {
        let older = selected("parked discard --older-than 48h --yes").unwrap().older_than;
        assert_eq!(older, Some(Duration::from_secs(48 * 3600)));
        assert!(selected("parked discard --older-than soon").unwrap_err().contains("30m"));
        assert!(selected("parked discard --older-than=-5m").unwrap_err().contains("negative"));
    }
}
