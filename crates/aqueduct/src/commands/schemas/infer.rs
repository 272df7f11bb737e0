//! `schemas infer`: from stored events to schema files.

use std::num::NonZeroU64;
use std::path::Path;
use std::process::ExitCode;

use aqueduct_schema::infer::{History, Report, infer, write_new};
use aqueduct_schema::{SchemaFiles, SchemaSet};

use super::log::Log;
use super::output;
use super::source::{Selected, Source};
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
        output::text(&report, &written, configuration, source.whole_routes());
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
