//! `schemas conformance`.

use std::path::PathBuf;
use std::process::ExitCode;

use aqueduct_avro::recordings::play;

use crate::failure::Failure;

/// Play recordings of what Avro's reference implementation and a registry answered
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// A folder with compat.jsonl, resolve.jsonl, encode.jsonl, valid.jsonl, invalid.jsonl or registry.jsonl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the counts and the first differences as JSON
    #[arg(long)]
    json: bool,
}

/// Needs no configuration. A difference without a rule is a failure.
#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(in crate::commands) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let report = play(&arguments.directory)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
