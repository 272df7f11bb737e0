//! `schemas check`.

use std::process::ExitCode;

use aqueduct_evolution::{Catalogue, Finding, Input, Lock, check};
use aqueduct_schema::{SchemaFiles, check_examples};
use jiff::Zoned;

use super::{git, sarif};
use crate::connections::Connections;
use crate::failure::Failure;

/// Say whether the schemas are safe to merge
///
/// Offline. Compares the files with policy.toml and released.lock: what a registry would refuse, what it would let pass and gives
/// readers other values, and whether released versions are as they were. Each finding says who breaks and what to do.
///
/// Exit code 1 if there is a finding without a waiver.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Also find what was released at a revision of git and is not any more, for example `origin/main`
    #[arg(long, value_name = "GIT-REF")]
    against: Option<String>,
    /// Print the findings as JSON
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print the findings as SARIF, which code hosts show beside the change
    #[arg(long)]
    sarif: bool,
}

/// Needs no server.
#[expect(clippy::print_stdout, reason = "the findings are the command's output")]
pub(super) async fn run(arguments: &Arguments, connections: &Connections) -> Result<ExitCode, Failure> {
    let folder = &connections.configuration().schemas.directory;
    let against = match &arguments.against {
        Some(revision) => Some(git::lock_at(folder, revision).await?),
        None => None,
    };
    let findings = findings(&Lock::read(folder)?, against.as_ref(), connections)?;
    let open = findings.iter().filter(|finding| finding.waived.is_none()).count();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else if arguments.sarif {
        println!("{}", serde_json::to_string_pretty(&sarif::report(&findings, folder))?);
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
        let events = connections.schemas()?.events().count();
        println!(
            "{}: {}, {} waived",
            counted(events, "event type"),
            counted(open, "finding"),
            findings.len() - open
        );
    }
    Ok(if open == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is found in the configured folder, with this lock.
pub(super) fn findings(
    lock: &Lock,
    against: Option<&Lock>,
    connections: &Connections,
) -> Result<Vec<Finding>, Failure> {
    let folder = &connections.configuration().schemas.directory;
    let (schemas, policy) = (connections.schemas()?, connections.policy()?);
    let catalogue = Catalogue::new(&schemas)?;
    let examples = check_examples(&SchemaFiles::read(folder)?, &schemas);
    Ok(check(Input {
        catalogue: &catalogue,
        policy: &policy,
        lock,
        against,
        examples: &examples,
        today: Zoned::now().date(),
    }))
}

fn counted(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}
