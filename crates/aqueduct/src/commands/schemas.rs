//! `schemas`: from files to a registry and to code, and what a change of them breaks.

mod check;
pub(super) mod conformance;
mod git;
mod history;
mod infer;
mod log;
mod output;
mod policy;
mod prove;
mod release;
mod sarif;
mod source;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;

use aqueduct_schema::{Published, generate, publish};

use crate::connections::Connections;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(super) enum SchemasCommand {
    /// Register the latest version of every event type under each topic that carries it
    Publish,
    Check(check::Arguments),
    Release(release::Arguments),
    List(versions::ListArguments),
    Diff(versions::DiffArguments),
    New(versions::NewArguments),
    Prove(prove::Arguments),
    History(history::Arguments),
    /// Print the policy of topics that have contexts in the configuration, to be written to policy.toml
    Policy,
    /// Generate the Rust types of the latest versions
    Generate {
        /// The file to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    Infer(infer::Arguments),
    Conformance(conformance::Arguments),
}

/// `publish` needs the registry, `infer` and `history` the event store; the others need no server, and `conformance` no configuration.
#[expect(clippy::print_stdout, reason = "what was published or found is the command's output")]
pub(super) async fn run(command: &SchemasCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    match command {
        SchemasCommand::Publish => {
            for published in publish_all(connections).await? {
                let Published { subject, version, id, schema_version, .. } = published;
                println!("{subject}: v{schema_version}.avsc is version {version}, id {id}");
            }
        }
        SchemasCommand::Check(arguments) => return check::run(arguments, connections).await,
        SchemasCommand::Release(arguments) => return release::run(arguments, connections).await,
        SchemasCommand::List(arguments) => return versions::list(arguments, connections),
        SchemasCommand::Diff(arguments) => return versions::diff(arguments, connections),
        SchemasCommand::New(arguments) => return versions::new(arguments, connections),
        SchemasCommand::Prove(arguments) => return prove::run(arguments, connections),
        SchemasCommand::History(arguments) => return history::run(arguments, connections).await,
        SchemasCommand::Policy => {
            let policy = connections.policy()?;
            let events = policy.topics.iter();
            let topics = events.map(|(topic, of)| (topic.clone(), of.events.iter().cloned().collect()));
            print!("{}", policy::text(&topics.collect()));
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
    Ok(publish(&schemas, &registry, &connections.topic_events()?).await?)
}
