//! `parked`: list, show, replay and discard the parked events of projections.

mod progress;

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use aqueduct_projection::parked::{self, ParkedEvent, ParkedRecord, Selection};
use serde_json::{Value, json};

use self::progress::follow;
use crate::app::Failure;
use crate::connections::Connections;

/// Rows read from Postgres at a time.
const PAGE: u32 = 500;

#[derive(clap::Subcommand)]
pub(super) enum ParkedCommand {
    /// List parked and discarded events, oldest first
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
        /// Its id, as `list` shows it
        id: i64,
        /// Also print key and payload, in hexadecimal
        #[arg(long)]
        payload: bool,
    },
    /// Replay the streams of the selected events, each from its first parked event on
    Replay {
        #[command(flatten)]
        selection: Arguments,
        /// Select all parked events
        #[arg(long)]
        all: bool,
    },
    /// Discard the selected events and replay what follows them in their streams
    ///
    /// The projection then counts every revision up to the discarded one as applied, also one that has not arrived yet.
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

/// Events are selected that match all of these.
#[derive(clap::Args)]
pub(super) struct Arguments {
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
    /// Events parked for this reason: headers, source, unknown_type, payload, panic, row, reaction, gap, blocked
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
    fn selection(&self) -> Selection {
        Selection {
            projection: self.projection.clone(),
            topic: self.topic.clone(),
            stream: self.stream.clone(),
            revision: self.revision,
            code: self.code.clone(),
            older_than: self.older_than,
        }
    }

    /// For what changes something: everything must be asked for by name.
    fn selection_or_all(&self, all: bool) -> Result<Selection, Failure> {
        let selection = self.selection();
        let selects_all = selection == Selection::default();
        match (selects_all, all) {
            (true, false) => {
                Err("select events, for example with --stream, or all of them with --all".into())
            }
            (false, true) => Err("--all and a selection exclude each other".into()),
            (true, true) | (false, false) => Ok(selection),
        }
    }
}

/// Needs Postgres. Replay and discard are executed by the running projections; the command waits for them.
pub(super) async fn run(command: &ParkedCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    let pool = connections.postgres()?;
    match command {
        ParkedCommand::List { selection, limit, json } => {
            let events = parked::list(&pool, &selection.selection(), 0, limit.get()).await?;
            print_events(&events, *json);
            Ok(ExitCode::SUCCESS)
        }
        ParkedCommand::Show { id, payload } => {
            let record = parked::show(&pool, *id).await?;
            let record =
                record.ok_or_else(|| format!("no event with id {id} is parked: see `parked list`"))?;
            print_record(&record, *payload);
            Ok(ExitCode::SUCCESS)
        }
        ParkedCommand::Replay { selection, all } => {
            let request = parked::replay(&pool, &selection.selection_or_all(*all)?).await?;
            follow(&pool, "replay", request).await
        }
        ParkedCommand::Discard { selection, all, yes } => {
            let selection = selection.selection_or_all(*all)?;
            if *yes {
                let request = parked::discard(&pool, &selection).await?;
                return follow(&pool, "discard", request).await;
            }
            let mut after = 0;
            loop {
                let events = parked::list(&pool, &selection, after, PAGE).await?;
                let Some(last) = events.last() else { break };
                after = last.id;
                let parked: Vec<_> = events.into_iter().filter(|event| event.state == "parked").collect();
                print_events(&parked, false);
            }
            eprintln!("nothing was discarded: add --yes to discard these events");
            Ok(ExitCode::SUCCESS)
        }
    }
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
            println!("{id}  {parked_at}  {projection}  {}  {state}  {code}: {reason}", reference(event));
        }
    }
}

fn to_json(event: &ParkedEvent) -> Value {
    json!({
        "id": event.id, "projection": event.projection, "topic": event.topic, "partition": event.partition,
        "offset": event.offset, "stream": event.stream, "revision": event.revision,
        "eventType": event.event_type, "state": event.state, "code": event.code, "reason": event.reason,
        "parkedAt": event.parked_at,
    })
}

#[expect(clippy::print_stdout, reason = "the event is the command's output")]
fn print_record(record: &ParkedRecord, with_payload: bool) {
    let ParkedRecord { event, key, payload, headers } = record;
    println!("{}  {}  {}", reference(event), event.projection, event.state);
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
            ParkedCommand::List { .. } | ParkedCommand::Show { .. } => panic!("{line}"),
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
    }

    #[test]
    fn an_age_is_a_time_with_its_unit() {
        let older = selected("parked discard --older-than 48h --yes").unwrap().older_than;
        assert_eq!(older, Some(Duration::from_secs(48 * 3600)));
        assert!(selected("parked discard --older-than soon").unwrap_err().contains("30m"));
        assert!(selected("parked discard --older-than=-5m").unwrap_err().contains("negative"));
    }
}
