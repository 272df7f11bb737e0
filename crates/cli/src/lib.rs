//! The one product binary, `aqueduct`: every process of the product, and the commands around them.

mod bench;
mod configuration;
mod demo;
mod process;
mod setup;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::configuration::Configuration;

/// Any error, on its way to the user.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Carries event streams from EventStoreDB to Kafka to Postgres
#[derive(Parser)]
#[command(name = "aqueduct", version)]
struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "AQUEDUCT_CONFIG", default_value = "deploy/local/aqueduct.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    /// Publish the schemas, create topics and tables; done again it changes nothing
    Setup,
    /// Relay events from the event store to Kafka
    Relay,
    /// Keep the shop's read models in Postgres
    Project,
    /// Run a service of the shop
    #[command(subcommand)]
    Shop(process::ShopService),
    Devstore(process::DevstoreArguments),
    Verify(verify::Arguments),
    Bench(bench::Arguments),
    /// Work with the schemas
    #[command(subcommand)]
    Schemas(setup::SchemasCommand),
}

/// Runs the binary with the arguments of the process.
///
/// Exit codes: 0 all is well, 1 something failed or a check found something, 2 wrong usage, 3 all is well but
/// for malformed lines of the input, 130 interrupted.
pub fn main() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(command, config)) {
        Ok(code) => code,
        Err(error) => fail(&*error),
    }
}

async fn run(command: Command, config: PathBuf) -> Result<ExitCode, Failure> {
    let load = || Configuration::load(&config);
    match command {
        Command::Demo(arguments) => demo::run(&arguments, load()?).await,
        Command::Verify(arguments) => verify::run(&arguments, load()?).await,
        Command::Bench(arguments) => bench::run(&arguments, load()?).await,
        Command::Setup => setup::run(&load()?).await.map(|()| ExitCode::SUCCESS),
        Command::Schemas(command) => setup::schemas(&command, &load()?).await.map(|()| ExitCode::SUCCESS),
        Command::Relay => process::relay(load()?).await.map(|()| ExitCode::SUCCESS),
        Command::Project => process::project(load()?).await.map(|()| ExitCode::SUCCESS),
        Command::Shop(service) => process::shop(&service, load()?).await.map(|()| ExitCode::SUCCESS),
        Command::Devstore(arguments) => process::devstore(arguments).await.map(|()| ExitCode::SUCCESS),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
