//! `schemas infer`: from stored events to schema files.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aqueduct_evolution::Policy;
use aqueduct_relay::Route;
use aqueduct_schema::infer::{History, Report, infer, write_new};
use aqueduct_schema::{SchemaFiles, SchemaSet};

use super::log::Log;
use super::policy::Topics;
use super::source::{Selected, Source};
use super::{output, policy};
use crate::connections::Connections;
use crate::failure::Failure;

/// Draft schemas from the stored events and write those that are missing
///
/// Reads the event store through the routes and mappings of the configuration. Writes one file for each event type
/// and version to the context and never overwrites one. The report says from how many events each decision comes,
/// which lines the type map lacks, and which events do not fit. Values of events appear only as symbols of enums.
///
/// Exit code 1 if an event type has no schema although its events are JSON objects.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// The context of new event types, a folder in the folder of the schemas
    #[arg(value_name = "CONTEXT")]
    context: String,
    #[command(flatten)]
    selected: Selected,
    /// The Avro namespace of new event types [default: the context, with underscores for dashes]
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Draft from the first 1,000 events of each type and one in N of the others; all are checked
    #[arg(long, value_name = "N", default_value = "1")]
    sample: NonZeroU64,
    /// Write no file
    #[arg(long)]
    dry_run: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// Needs the event store.
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let configuration = connections.configuration();
    check_context(&arguments.context)?;
    let mut source = Source::new(&arguments.selected, configuration)?;
    let existing = existing_files(&configuration.schemas.directory)?;
    let log = Log::open(connections.event_store()?).await?;
    let report = draft(arguments, &mut source, &existing, &log).await?;
    let written = if arguments.dry_run { Vec::new() } else { write_new(existing.folder(), &report.files)? };
    if arguments.json {
        output::json(&report)?;
    } else {
        output::text(&report, &written, configuration);
        write_policy(&topics(&report, source.whole_routes()), arguments, connections)?;
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the log until the draft fits all events that it can fit.
async fn draft(
    arguments: &Arguments,
    source: &mut Source,
    existing: &SchemaFiles,
    log: &Log,
) -> Result<Report, Failure> {
    let mut history = observe(arguments, source, log).await?;
    let map_lines = history.map_lines().clone();
    if !map_lines.is_empty() {
        // Names and versions depend on these lines. The files are drafted as they will be once they are added.
        source.add_lines(&map_lines);
        history = observe(arguments, source, log).await?;
    }
    let namespace = arguments.namespace.clone().unwrap_or_else(|| arguments.context.replace('-', "_"));
    loop {
        let mut report = infer(history.evidence(), &arguments.context, &namespace, existing);
        history.complete(&mut report);
        report.map_lines = map_lines.iter().cloned().collect();
        let files = report.merged(existing);
        if files.is_empty() {
            return Ok(report);
        }
        let schemas = SchemaSet::compile(&files)?;
        let mut pass = history.pass(&schemas);
        let check = |event: &_| {
            if source.includes(event) {
                pass.event(event)
            }
        };
        log.read("checking the draft", check).await?;
        let (checked, observed) = pass.finish();
        report.check = Some(checked);
        if observed == 0 {
            return Ok(report);
        }
    }
}

async fn observe(arguments: &Arguments, source: &Source, log: &Log) -> Result<History, Failure> {
    let mut history = History::new(source.history_routes()?, arguments.sample);
    let observe = |event: &_| {
        if source.includes(event) {
            history.event(event);
        }
    };
    log.read("reading events", observe).await?;
    if history.selected() == 0 {
        let categories: Vec<String> = log.categories().await?.into_iter().collect();
        let stored = if categories.is_empty() { "none".to_owned() } else { categories.join(", ") };
        return Err(format!("no stored event is selected; categories with events: {stored}").into());
    }
    Ok(history)
}

/// The event types that were found, for each route that was read whole.
fn topics(report: &Report, routes: &[Route]) -> Topics {
    let events: BTreeSet<String> = report.files.iter().map(|file| file.event_type.clone()).collect();
    if events.is_empty() {
        return Topics::new();
    }
    routes.iter().map(|route| (route.topic.clone(), events.clone())).collect()
}

/// Adds topics to the policy that it does not have, and prints the lines of those that it has.
#[expect(clippy::print_stdout, reason = "what is left to do is the command's output")]
fn write_policy(topics: &Topics, arguments: &Arguments, connections: &Connections) -> Result<(), Failure> {
    let schemas = &connections.configuration().schemas;
    // What contexts say is going to be replaced: all of it is missing.
    let policy = if schemas.contexts.is_empty() { connections.policy()? } else { Arc::default() };
    let missing = policy::missing(&policy, topics);
    let (known, new): (Topics, Topics) =
        missing.into_iter().partition(|(topic, _)| policy.topics.contains_key(topic));
    let path = schemas.directory.join(Policy::FILE);
    let writes = !arguments.dry_run && schemas.contexts.is_empty();
    if writes && !new.is_empty() {
        let path = policy::add(&schemas.directory, &new)?;
        let names: Vec<&str> = new.keys().map(String::as_str).collect();
        println!(
            "\nwrote to {}, so that `setup` publishes the schemas: {}",
            path.display(),
            names.join(", ")
        );
    } else if !new.is_empty() {
        println!(
            "\nadd to {}, so that `setup` publishes the schemas:\n\n{}",
            path.display(),
            policy::lines(&new)
        );
    }
    if !known.is_empty() {
        println!("\nreplace in {}:\n\n{}", path.display(), policy::lines(&known));
    }
    Ok(())
}

fn existing_files(folder: &Path) -> Result<SchemaFiles, Failure> {
    if folder.try_exists().unwrap_or(true) {
        Ok(SchemaFiles::read(folder)?)
    } else {
        Ok(SchemaFiles::new(folder))
    }
}

fn check_context(context: &str) -> Result<(), Failure> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if !context.is_empty() && context.chars().all(is_name) {
        return Ok(());
    }
    Err(format!("\"{context}\" is not a name for a context: use letters, digits, dashes and underscores")
        .into())
}
