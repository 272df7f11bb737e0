//! `schemas prove`.

use std::process::ExitCode;

use aqueduct_evolution::{Catalogue, prove};
use aqueduct_schema::{SchemaFiles, check_examples};

use crate::connections::Connections;
use crate::failure::Failure;

/// Bring generated events of every version to the latest one
///
/// Offline. Where no upcast rule is on the way, the result must be that of Avro's resolution. Also runs the examples of the rules, and
/// compares the golden events that `schemas release` wrote with what they are today.
///
/// Exit code 1 if something is wrong.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// How many events of each version are generated
    #[arg(long, value_name = "N", default_value = "200")]
    values: u64,
    /// Another seed generates other events
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Needs no server.
#[expect(clippy::print_stdout, reason = "what was proven is the command's output")]
pub(super) fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let folder = &connections.configuration().schemas.directory;
    let schemas = connections.schemas()?;
    let proof = prove(&schemas, &Catalogue::new(&schemas)?, folder, arguments.values, arguments.seed)?;
    let examples = check_examples(&SchemaFiles::read(folder)?, &schemas);
    let failures: Vec<String> = examples.failures.iter().map(ToString::to_string).collect();
    if arguments.json {
        let result =
            serde_json::json!({"proof": proof, "examples": examples.passed, "failed_examples": failures});
        println!("{}", serde_json::to_string_pretty(&result)?);
    } else {
        failures.iter().for_each(|failure| println!("{failure}"));
        print!("{proof}");
        println!("{} examples of upcast rules give their result, {} do not", examples.passed, failures.len());
    }
    let is_proven = proof.failures.is_empty() && failures.is_empty();
    Ok(if is_proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
