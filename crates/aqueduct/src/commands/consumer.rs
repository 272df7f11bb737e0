//! `consumer`: work on consumers in any language.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aqueduct_conformance::{JunitXml, Options, Property, test};

use crate::failure::Failure;

/// As a shell reports a process that SIGINT has ended.
const INTERRUPTED: u8 = 130;

#[derive(clap::Subcommand)]
pub(super) enum ConsumerCommand {
    Test(Arguments),
}

/// Test whether a consumer survives duplicates, gaps, kills and the like
///
/// Starts Kafka, Postgres and a registry, runs the consumer with their addresses in its environment, disturbs it, and
/// compares its tables with those that it makes undisturbed. Fails if a property is broken or was not judged. See
/// docs/consumer-kit.md.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file that describes the consumer
    #[arg(long, value_name = "FILE", default_value = "consumer-test.toml")]
    kit: PathBuf,
    /// Chooses the damaged streams, the order of events, and a generated history [default: a random number, which is reported]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Test only this property; may be repeated
    #[arg(long = "property", value_name = "NAME", value_enum)]
    properties: Vec<Property>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The consumer's command line
    #[arg(last = true, required = true, value_name = "COMMAND")]
    program: Vec<OsString>,
}

pub(super) async fn run(command: ConsumerCommand) -> Result<ExitCode, Failure> {
    let ConsumerCommand::Test(arguments) = command;
    tokio::select! {
        tested = test_consumer(arguments) => tested,
        // Dropping the test kills the consumer and the servers.
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
async fn test_consumer(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { kit, seed, properties, json, junit, program } = arguments;
    let seed = seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    let options = Options { definition: kit, program, seed, properties };
    let report = test(&options, &|property| println!("{property}")).await?;
    println!("{report}");
    if let Some(path) = json {
        write(&path, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(path) = junit {
        write(&path, &JunitXml(&report).to_string())?;
    }
    Ok(if report.is_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| format!("{}: cannot be written: {error}", path.display()).into())
}
