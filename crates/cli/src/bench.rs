//! `aqueduct bench`: what the product costs, each time beside the least that could do the same work.
//!
//! Both sides of a comparison run in this process, round after round and in alternating order, so that whatever
//! else the machine does meets both; the ratio is what counts. Nothing is judged: there are only figures.

mod appends;
mod bare_pump;
mod bare_sql;
mod history;
mod observer;
mod projection;
mod read_models;
mod relay;
mod relayed;
mod report;
mod rounds;
mod stopwatch;
mod thread;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use aqueduct::Configuration;
use aqueduct_devstack::{DevStack, Options as StackOptions};
use aqueduct_service::{TelemetryOptions, shutdown, telemetry};
use clap::ValueEnum;

use self::relayed::Surroundings;
use self::report::{Comparison, Report};
use crate::Failure;

/// Measure the product against the least that does the same work, on servers of its own
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n    aqueduct bench relay --rounds 9")]
pub(crate) struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// How often each side is measured, in turn
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: NonZeroUsize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Appends one after the other: the adapter beside the unmodified client
    Appends,
    /// From the event store to Kafka: the relay beside a pump of bytes encoded beforehand
    Relay,
    /// From records to rows in Postgres: projections beside bare SQL
    Projection,
}

/// Runs the comparisons. The servers are this command's own, with the durability of their defaults; what it makes
/// on them is gone afterwards.
pub(crate) async fn run(arguments: Arguments, configuration: Configuration) -> Result<ExitCode, Failure> {
    // Spans and counters cost the product what they cost in its own processes; its log would only be in the way.
    let quiet = TelemetryOptions { log: "warn,aqueduct_devstore=error".to_owned(), ..Default::default() };
    let _telemetry = telemetry::init("aqueduct-bench", &quiet)?;
    let shutdown = shutdown::on_signal()?;
    let measured = tokio::select! {
        measured = measure(&arguments, &configuration) => measured?,
        // What was started ends with its owner.
        () = shutdown.cancelled() => return Ok(ExitCode::from(shutdown::INTERRUPTED)),
    };
    Report(measured).print(arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments, configuration: &Configuration) -> Result<Vec<Comparison>, Failure> {
    let rounds = arguments.rounds.get();
    let wanted = |what| arguments.what.is_empty() || arguments.what.contains(&what);
    let mut comparisons = Vec::new();
    if wanted(What::Appends) {
        comparisons.push(appends::measure(rounds).await?);
    }
    if wanted(What::Relay) || wanted(What::Projection) {
        eprintln!("starting the servers");
        let stack = DevStack::start(StackOptions::all()).await?;
        let surroundings = Surroundings::new(&stack, configuration)?;
        if wanted(What::Relay) {
            comparisons.push(relay::measure(rounds, &surroundings, configuration).await?);
        }
        if wanted(What::Projection) {
            comparisons.extend(projection::measure(rounds, &stack, &surroundings, configuration).await?);
        }
        stack.shutdown().await;
    }
    Ok(comparisons)
}
