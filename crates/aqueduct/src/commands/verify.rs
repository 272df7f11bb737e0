//! `verify`: from the event store to the inboxes.

use std::process::ExitCode;

use aqueduct_verify::{Check, Options, Report, Route};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::configuration::Configuration;
use crate::connections::Connections;
use crate::failure::Failure;

/// Compare the event store with the topics and the inboxes, and show what differs
///
/// The routes come from the configuration. Where Postgres is configured, the inbox of every projection that reads a
/// topic of a route is compared too. The system may keep running: events stored after the start are not compared.
/// Events that were parked, skipped or discarded are accounted for where their reason holds.
/// Exit code 1 if something is missing, duplicated, out of order or different.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Also exit with 1 if events are parked, discarded or skipped
    #[arg(long)]
    strict: bool,
    /// How many differences are shown; all are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    shown: usize,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// Needs the event store, Kafka and the registry; Postgres only for the inboxes.
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let mut options = options(connections.configuration())?;
    options.shown = arguments.shown;
    let bar = progress_bar()?;
    let shown = bar.clone();
    let check = Check::new(options).with_progress(move |position, end| {
        shown.set_length(end);
        shown.set_position(position);
    });
    let report = check.run().await;
    bar.finish_and_clear();
    let report = report?;
    print(&report, arguments.json)?;
    let is_good = if arguments.strict { report.is_clean() } else { report.has_no_faults() };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(configuration: &Configuration) -> Result<Options, Failure> {
    let Configuration { path, eventstore, kafka, registry, postgres, relay, schemas, events, .. } =
        configuration;
    if relay.routes.is_empty() {
        return Err(format!(
            "no route is configured, so there is nothing to compare: add [[relay.routes]] to {}",
            path.display()
        )
        .into());
    }
    let (store, brokers) = (eventstore.address(path)?, kafka.address(path)?);
    let mut options = Options::new(&store, &brokers, &registry.address(path)?);
    options.properties.clone_from(&kafka.properties);
    options.registry_username.clone_from(&registry.username);
    options.registry_password.clone_from(&registry.password);
    options.registry_authority.clone_from(&registry.authority);
    options.source.clone_from(&eventstore.source);
    options.postgres.clone_from(&postgres.url);
    // Only schema files describe other forms of JSON. Without any, the stored JSON is canonical.
    options.schemas = schemas.directory.is_dir().then(|| schemas.directory.clone());
    options.all_projections = true;
    options.max_record_bytes = Some(relay.max_record_bytes.get());
    options.events = as_written(&json!({"metadata": events.metadata, "types": events.types}))?;
    for route in &relay.routes {
        let compared = Route {
            exceptions: Some(route.exceptions_topic(&kafka.prefix)),
            checkpoints: Some(route.checkpoint_topic(&kafka.prefix)),
            ..as_written(route)?
        };
        options.topics.insert(route.topic.clone(), compared);
    }
    Ok(options)
}

/// A part of the configuration as the checker reads it, which shares no types with the relay.
fn as_written<T: DeserializeOwned>(part: &impl Serialize) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(part)?)
}

/// How much of `$all` was compared; not shown where the output is not a terminal.
fn progress_bar() -> Result<ProgressBar, Failure> {
    let style = ProgressStyle::with_template("comparing {wide_bar} {percent} %, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style))
}

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
fn print(report: &Report, json: bool) -> Result<(), serde_json::Error> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}
