//! `aqueduct shop verify`: compares input, store, topics and Postgres.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use aqueduct::Configuration;
use aqueduct_shop_verify::{Options, check};
use aqueduct_verify::Report;

use crate::Failure;
use crate::configuration::{Addresses, Demo};

/// Compare the input with the event store, the topics and the tables, and name what differs
#[derive(clap::Args)]
#[command(after_help = "Example:\n    aqueduct shop verify --orders 300")]
pub(crate) struct Arguments {
    /// The file of orders that was fed [default: as the demo]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How many orders were fed [default: all]
    #[arg(long, value_name = "N")]
    orders: Option<NonZeroUsize>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, configuration: Configuration) -> Result<ExitCode, Failure> {
    let addresses = Addresses::of(&configuration)?;
    let input = match arguments.input {
        Some(input) => input,
        None => Demo::input(&configuration)?,
    };
    let report =
        check(&options(&configuration, &addresses, input, arguments.orders.map(NonZeroUsize::get))).await?;
    print(&report, arguments.json)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The checker's options for this configuration.
pub(crate) fn options(
    configuration: &Configuration,
    addresses: &Addresses,
    input: PathBuf,
    orders: Option<usize>,
) -> Options {
    let Addresses { eventstore, brokers, registry, postgres } = addresses;
    let mut options = Options::new(eventstore, brokers, registry, postgres, input);
    options.orders = orders;
    options.check.source.clone_from(&configuration.eventstore.source);
    options.check.properties.clone_from(&configuration.kafka.properties);
    options
}

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
fn print(report: &Report, json: bool) -> Result<(), serde_json::Error> {
    match json {
        true => println!("{}", serde_json::to_string(report)?),
        false => println!("{report}"),
    }
    Ok(())
}
