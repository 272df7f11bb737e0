//! `aqueduct bench`: compares the product with the least code that does the same work.
//!
//! All sides of a comparison run in this process, in rounds and stretches of alternating order, so that other load on the
//! machine affects all. The ratio is the result; there is no pass or fail. `start` compares nothing: it starts processes, as
//! `growth` does for memory.

mod against_sql;
mod appends;
mod bare_pump;
mod bare_sql;
mod comparison;
mod cpu;
mod decoding;
mod growth;
mod growth_processes;
mod history;
mod lanes;
mod measured;
mod observer;
mod prepared;
mod projection;
mod range;
mod read_models;
mod relay;
mod relay_process;
mod relayed;
mod report;
mod revenue;
mod rounds;
mod sql_files;
mod start;
mod stock;
mod stopwatch;
mod thread;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use aqueduct::Configuration;
use aqueduct_devstack::{DevStack, Options as StackOptions};
use aqueduct_service::{TelemetryOptions, shutdown, telemetry};
use clap::ValueEnum;

use self::relayed::Surroundings;
use self::report::Report;
use crate::Failure;

/// Compare each hot path with a minimal implementation of the same work, on servers that it starts
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n    aqueduct bench relay --rounds 9")]
pub(crate) struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// Number of rounds; each measures all sides
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: NonZeroUsize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Sequential appends: the adapter against the unmodified client
    Appends,
    /// From the event store to Kafka: the relay against a pump of bytes encoded beforehand
    Relay,
    /// From records to rows in Postgres: projections against bare SQL, with rows that are ready and with Avro to decode
    Projection,
    /// From records to rows in Postgres: projections that are SQL files against the same views in Rust
    Sql,
    /// From the start of a relay process to its first record
    Start,
    /// A route in four lanes against the same in one
    Lanes,
    /// A million events in 100,000 streams against 10,000 in ten, with the memory of a relay process
    Growth,
}

/// Runs the comparisons. The servers are this command's own, with their default durability. Their data is
/// deleted afterwards.
pub(crate) async fn run(arguments: Arguments, configuration: Configuration) -> Result<ExitCode, Failure> {
    // Spans and counters cost the product what they cost in its own processes; its log is not needed.
    let quiet = TelemetryOptions { log: "warn,aqueduct_devstore=error".to_owned(), ..Default::default() };
    let _telemetry = telemetry::init("aqueduct-bench", &quiet)?;
    let shutdown = shutdown::on_signal()?;
    let measured = tokio::select! {
        measured = measure(&arguments, &configuration) => measured?,
        // What was started ends with its owner.
        () = shutdown.cancelled() => return Ok(ExitCode::from(shutdown::INTERRUPTED)),
    };
    measured.print(arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments, configuration: &Configuration) -> Result<Report, Failure> {
    let rounds = arguments.rounds.get();
    let wanted = |what| arguments.what.is_empty() || arguments.what.contains(&what);
    let mut report = Report::default();
    if wanted(What::Appends) {
        report.comparisons.push(appends::measure(rounds).await?);
    }
    if What::value_variants().iter().any(|what| *what != What::Appends && wanted(*what)) {
        eprintln!("starting the servers");
        let stack = DevStack::start(StackOptions { runs_long: true, ..StackOptions::all() }).await?;
        let surroundings = Surroundings::new(&stack, configuration).await?;
        if [What::Relay, What::Start, What::Lanes, What::Growth].into_iter().any(wanted) {
            let events = relay::append_history(&surroundings, configuration).await?;
            if wanted(What::Relay) {
                report.comparisons.push(relay::measure(rounds, &surroundings, &events).await?);
            }
            if wanted(What::Start) {
                report.starts.push(start::measure(rounds, &surroundings, configuration, events.len()).await?);
            }
            if wanted(What::Lanes) {
                report.comparisons.push(lanes::measure(rounds, &surroundings, events.len()).await?);
            }
            if wanted(What::Growth) {
                report.peaks = growth_processes::measure(&surroundings, configuration, &events).await?;
                report.comparisons.extend(growth::measure(rounds, &surroundings, &events).await?);
            }
        }
        if wanted(What::Projection) {
            let projections = projection::measure(rounds, &stack, &surroundings, configuration).await?;
            report.comparisons.extend(projections);
        }
        if wanted(What::Sql) {
            let in_sql = sql_files::measure(rounds, &stack, &surroundings, configuration).await?;
            report.comparisons.extend(in_sql);
        }
        stack.shutdown().await;
    }
    Ok(report)
}
