//! `devstore`: an event store for development.

use std::net::SocketAddr;
use std::path::PathBuf;

use aqueduct_devstore::Options;
use aqueduct_service::{TelemetryOptions, http, shutdown, telemetry};

use crate::failure::Failure;

/// Run a single-node event store for development and tests, which EventStoreDB's clients connect to
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2113")]
    listen: SocketAddr,
    /// Where to keep the events
    #[arg(long, value_name = "DIR", default_value = "devstore")]
    data: PathBuf,
    /// Keep nothing
    #[arg(long, conflicts_with = "data")]
    in_memory: bool,
}

#[expect(clippy::print_stdout, reason = "the connection string is the command's output")]
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { listen, data, in_memory } = arguments;
    let _telemetry = telemetry::init("aqueduct-devstore", &TelemetryOptions::default())?;
    let shutdown = shutdown::on_signal()?;
    let options = if in_memory { Options::in_memory() } else { Options::durable(data) };
    let listener = http::bind(listen).await?;
    let server = aqueduct_devstore::start(options, listener, shutdown.cancelled_owned()).await?;
    println!("{}", server.connection_string());
    Ok(server.stopped().await?)
}
