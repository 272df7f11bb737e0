//! `schemas list`, `schemas diff` and `schemas new`: the versions of event types.

use std::fs;
use std::process::ExitCode;

use aqueduct_avro::compatibility;
use aqueduct_evolution::{Catalogue, Event, EventVersion, Lock, changes, successor};
use serde_json::json;

use crate::connections::Connections;
use crate::failure::Failure;

/// List the event types with their versions and topics
#[derive(clap::Args)]
pub(in crate::commands) struct ListArguments {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Say what changed between two versions, and who can read what
#[derive(clap::Args)]
pub(in crate::commands) struct DiffArguments {
    /// `orders/OrderCreated`, or `OrderCreated`
    event: String,
    /// The older version
    older: u32,
    /// The newer version
    newer: u32,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Write the next version of an event type: the latest one without its upcast rules, to be edited
#[derive(clap::Args)]
pub(in crate::commands) struct NewArguments {
    /// `orders/OrderCreated`, or `OrderCreated`
    event: String,
}

#[expect(clippy::print_stdout, reason = "the list is the command's output")]
pub(super) fn list(arguments: &ListArguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let catalogue = Catalogue::new(&*connections.schemas()?)?;
    let lock = Lock::read(&connections.configuration().schemas.directory)?;
    let policy = connections.policy()?;
    let mut listed = Vec::new();
    for event in catalogue.events.values() {
        let versions = event.versions.len();
        let released =
            event.versions.iter().filter(|version| lock.versions.contains_key(&version.id)).count();
        let topics: Vec<_> = policy.topics_of(&event.event_type).map(|(topic, _)| topic).collect();
        let name = format!("{}/{}", event.context, event.event_type);
        if !arguments.json {
            let topics = if topics.is_empty() { "no topic".to_owned() } else { topics.join(", ") };
            let state = match versions - released {
                0 => "released".to_owned(),
                new => format!("{new} not released"),
            };
            println!("{name} v{versions} ({state}): {topics}");
        }
        listed.push(json!({"event": name, "latest": versions, "released": released, "topics": topics}));
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&listed)?);
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the difference is the command's output")]
pub(super) fn diff(arguments: &DiffArguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let catalogue = Catalogue::new(&*connections.schemas()?)?;
    let event = find(&catalogue, &arguments.event)?;
    let (older, newer) = (version(event, arguments.older)?, version(event, arguments.newer)?);
    let changes = changes(&older.schema, &newer.schema);
    let directions = [(newer, older), (older, newer)].map(|(reader, writer)| {
        let found = compatibility(&reader.schema, &writer.schema).incompatibilities;
        (reader, writer, found.iter().map(ToString::to_string).collect::<Vec<_>>())
    });
    if arguments.json {
        let reads = directions.map(|(reader, writer, problems)| {
            json!({"reader": reader.id.version, "writer": writer.id.version, "problems": problems})
        });
        println!("{}", serde_json::to_string_pretty(&json!({"changes": changes, "reads": reads}))?);
        return Ok(ExitCode::SUCCESS);
    }
    if changes.is_empty() {
        println!("{} and v{} are the same", older.id, newer.id.version);
    }
    changes.iter().for_each(|change| println!("{change}"));
    println!();
    for (reader, writer, problems) in directions {
        let (reader, writer) = (reader.id.version, writer.id.version);
        if problems.is_empty() {
            println!("readers of v{reader} read records of v{writer}");
        } else {
            println!("readers of v{reader} do not read records of v{writer}: {}", problems.join("; "));
        }
    }
    println!(
        "events that are stored as v{} are relayed as v{}, the latest",
        older.id.version,
        event.versions.len()
    );
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "which file was written is the command's output")]
pub(super) fn new(arguments: &NewArguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let folder = &connections.configuration().schemas.directory;
    let catalogue = Catalogue::new(&*connections.schemas()?)?;
    let event = find(&catalogue, &arguments.event)?;
    let latest = event.latest().ok_or("the event type has no version")?;
    let mut next = latest.id.clone();
    next.version += 1;
    let (from, to) = (folder.join(latest.id.file()), folder.join(next.file()));
    let text = fs::read_to_string(&from).map_err(|error| format!("{}: {error}", from.display()))?;
    let mut file = fs::File::create_new(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    std::io::Write::write_all(&mut file, successor(&text).as_bytes())
        .map_err(|error| format!("{}: {error}", to.display()))?;
    println!(
        "wrote {}: edit it, then run `aqueduct schemas check` and `aqueduct schemas diff {} {} {}`",
        to.display(),
        event.event_type,
        latest.id.version,
        next.version
    );
    Ok(ExitCode::SUCCESS)
}

/// An event type by its name, with or without its context.
fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Event, Failure> {
    let (context, event_type) = match name.split_once('/') {
        Some((context, event_type)) => (Some(context), event_type),
        None => (None, name),
    };
    let found = catalogue.events.get(event_type);
    let found = found.filter(|event| context.is_none_or(|context| context == event.context));
    let unknown = || format!("there are no schemas of {name}: `aqueduct schemas list` lists the event types");
    Ok(found.ok_or_else(unknown)?)
}

fn version(event: &Event, version: u32) -> Result<&EventVersion, Failure> {
    let latest = event.versions.len();
    let unknown = || format!("{} has no version {version}, only 1 to {latest}", event.event_type);
    Ok(event.version(version).ok_or_else(unknown)?)
}
