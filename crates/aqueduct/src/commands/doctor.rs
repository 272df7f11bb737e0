//! `doctor`: checks the configuration against the running servers, and says what to do.

mod clock;
mod configuration;
mod eventstore;
mod finding;
mod kafka;
mod postgres;
mod projections;
mod registry;
mod routes;
mod topics;

use std::process::ExitCode;
use std::time::Duration;

use self::finding::{Finding, Findings, Level};
use crate::app::App;
use crate::connections::Connections;
use crate::failure::Failure;

/// Check the configuration against the servers, and say what to do
///
/// Changes nothing. A server whose address is not configured is not checked. Exit code 1 if something keeps the
/// system from working; warnings alone do not.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Print the findings as one JSON array
    #[arg(long)]
    json: bool,
}

/// Time-out of each question to a server.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Needs no address; checks what is configured.
pub(super) async fn run(
    app: &App,
    arguments: &Arguments,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let (configuration, eventstore, registry, postgres, projections) = tokio::join!(
        async { configuration::check(connections) },
        eventstore::check(connections),
        registry::check(connections),
        postgres::check(app, connections),
        projections::check(connections),
    );
    // One after the other: what cannot be reached is said once.
    let (kafka, probe) = kafka::check(connections).await;
    let (mut topics, mut routes) = (Findings::default(), Findings::default());
    if let Some(probe) = probe {
        topics = topics::check(connections, probe).await;
        routes = routes::check(connections).await;
    }
    let all = [configuration, eventstore, kafka, topics, registry, postgres, projections, routes];
    let findings: Vec<Finding> = all.into_iter().flat_map(Findings::into_vec).collect();
    print(&findings, arguments.json)?;
    let broken = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, reason = "the findings are the command's output")]
fn print(findings: &[Finding], json: bool) -> Result<(), serde_json::Error> {
    if json {
        println!("{}", serde_json::to_string(findings)?);
        return Ok(());
    }
    for finding in findings {
        println!("{finding}");
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    println!("\n{} errors, {} warnings", count(Level::Error), count(Level::Warning));
    Ok(())
}
