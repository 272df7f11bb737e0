//! `parked`: list, show, replay and discard the parked events of projections and of the relay.

mod filter;
mod projection;
mod relay;

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use aqueduct_relay::parked::{Action, EventReference};

use self::filter::EventFilter;
use crate::connections::Connections;
use crate::failure::Failure;

/// For how long no owner may have seen a request before it is reported that none is running: longer than a rebalance
/// takes.
const OWNER_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(clap::Subcommand)]
pub(super) enum ParkedCommand {
    /// List parked, skipped and discarded events
    ///
    /// Events of the relay's routes in the order of the store, then those of the projections in the order in which they
    /// were parked, each as far as it is configured.
    List {
        #[command(flatten)]
        filter: EventFilter,
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
        filter: EventFilter,
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
        filter: EventFilter,
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

/// Needs Kafka for the relay's events, Postgres for those of projections. Requests are executed by the running relays
/// and projections; the command waits for them.
pub(super) async fn run(command: &ParkedCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    match command {
        ParkedCommand::List { filter, limit, json } => list(filter, *limit, *json, connections).await,
        ParkedCommand::Show { event, route, payload } => match event.parse::<i64>() {
            Ok(id) => projection::show(connections, id, *payload).await,
            Err(_) => relay::show(connections, event.parse()?, route.as_deref(), *payload).await,
        },
        ParkedCommand::Park { halted } => relay::resolve(connections, Action::Park, halted).await,
        ParkedCommand::Skip { halted } => relay::resolve(connections, Action::Skip, halted).await,
        ParkedCommand::Replay { filter, all } => match &filter.route {
            Some(route) => relay::replay(connections, route, filter.relay_filter(*all)?).await,
            None => projection::replay(connections, &filter.projection_filter(*all)?).await,
        },
        ParkedCommand::Discard { filter, all, yes } => match &filter.route {
            Some(route) => relay::discard(connections, route, filter.relay_filter(*all)?, *yes).await,
            None => projection::discard(connections, &filter.projection_filter(*all)?, *yes).await,
        },
    }
}

async fn list(
    filter: &EventFilter,
    limit: NonZeroU32,
    json: bool,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let routes = match &filter.route {
        Some(route) => vec![relay::route(connections, route)?],
        None if filter.names_projections() || !relay::is_configured(connections) => Vec::new(),
        None => relay::routes(connections)?,
    };
    let has_routes = !routes.is_empty();
    // A code that only the relay has selects nothing of the projections, and the other way round.
    let (of_routes, of_projections) = match (filter.for_relay(), filter.for_projections()) {
        (Err(error), _) if filter.route.is_some() => return Err(error),
        (_, Err(error)) if !has_routes => return Err(error),
        (Err(of_routes), Err(of_projections)) => return Err(format!("{of_projections}; {of_routes}").into()),
        (of_routes, of_projections) => (of_routes.ok(), of_projections.ok()),
    };
    if let Some(selection) = of_routes {
        for events in routes {
            relay::list(events, selection.clone(), relay::ListMode::First { limit: limit.get(), json })
                .await?;
        }
    }
    let has_postgres = connections.configuration().postgres.configured().is_some();
    if let Some(selection) = of_projections
        && filter.route.is_none()
        && (has_postgres || filter.names_projections() || !has_routes)
    {
        projection::list(connections, &selection, limit.get(), json).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing_discarded() -> ExitCode {
    eprintln!("nothing was discarded: add --yes to discard these events");
    ExitCode::SUCCESS
}

fn hexadecimal(bytes: Option<&[u8]>) -> String {
    match bytes {
        Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_projection::parked::{ParkedFilter, ReasonCode};
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

    fn selected(line: &str) -> Result<ParkedFilter, String> {
        match parse(line).map_err(|error| error.to_string())? {
            ParkedCommand::Replay { filter, all } | ParkedCommand::Discard { filter, all, .. } => {
                filter.projection_filter(all).map_err(|error| error.to_string())
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
        assert_eq!(selected("parked replay --all").unwrap(), ParkedFilter::default());
        let stream = selected("parked replay --stream order-1").unwrap().stream;
        assert_eq!(stream.as_deref(), Some("order-1"));
        assert_eq!(selected("parked replay --code gap").unwrap().code, Some(ReasonCode::Gap));
        assert!(selected("parked replay --code not_json").unwrap_err().contains("reaction, gap, blocked"));
    }

    #[test]
    fn a_route_is_the_relays() {
        let of_route = |line: &str| match parse(line) {
            Ok(ParkedCommand::Replay { filter, all }) => {
                filter.relay_filter(all).map_err(|error| error.to_string())
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
