//! `schemas`: check, publish, generate, infer, conformance.

pub(super) mod conformance;
mod infer;
mod log;
mod output;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use aqueduct_schema::{Published, TopicEvents, generate, publish};

use crate::connections::Connections;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(super) enum SchemasCommand {
    /// Register the latest version of every event type under each topic that carries it
    Publish,
    /// Load all schemas and report what is wrong with them
    Check,
    /// Generate the Rust types of the latest versions
    Generate {
        /// The file to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    Infer(infer::Arguments),
    Conformance(conformance::Arguments),
}

/// `publish` needs the registry, `infer` the event store; the others need no server, and `conformance` no configuration.
#[expect(clippy::print_stdout, reason = "what was published or found is the command's output")]
pub(super) async fn run(command: &SchemasCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    match command {
        SchemasCommand::Publish => {
            for published in publish_all(connections).await? {
                let Published { subject, version, id, schema_version, .. } = published;
                println!("{subject}: v{schema_version}.avsc is version {version}, id {id}");
            }
        }
        SchemasCommand::Check => {
            for event in connections.schemas()?.events() {
                println!("{}: version {}", event.full_name(), event.latest());
            }
        }
        SchemasCommand::Generate { output } => {
            let types = generate(&*connections.schemas()?)?;
            match output {
                Some(output) => std::fs::write(output, types)
                    .map_err(|error| format!("{}: cannot be written: {error}", output.display()))?,
                None => print!("{types}"),
            }
        }
        SchemasCommand::Infer(arguments) => return infer::run(arguments, connections).await,
        SchemasCommand::Conformance(arguments) => return conformance::run(arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Registers the schemas of all configured topics.
pub(super) async fn publish_all(connections: &Connections) -> Result<Vec<Published>, Failure> {
    let (schemas, registry) = (connections.schemas()?, connections.registry()?);
    let contexts = &connections.configuration().schemas.contexts;
    let topics: Vec<_> = contexts
        .iter()
        .map(|(topic, contexts)| {
            let contexts: Vec<&str> = contexts.iter().map(String::as_str).collect();
            TopicEvents::of_contexts(&schemas, topic, &contexts)
        })
        .collect();
    Ok(publish(&schemas, &registry, &topics).await?)
}
