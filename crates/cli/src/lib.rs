//! The product binary, `aqueduct`: an App without views of its own, with the demo, the benchmarks, and the sample
//! system as `aqueduct shop …`.

mod bench;
mod configuration;
mod demo;

use std::process::ExitCode;

use aqueduct::{App, Failure};

use self::configuration::Demo;

/// The sample's configuration in a checkout.
const CHECKOUT: &str = "deploy/local/aqueduct.toml";

/// Runs the binary with the arguments of the process.
///
/// Exit codes: 0 success, 1 something failed or a check found something, 2 wrong usage, 3 success, but the input
/// has malformed lines, 130 interrupted.
pub fn main() -> ExitCode {
    App::new("aqueduct")
        .about("Carry event streams from EventStoreDB to Kafka to Postgres")
        .fallback_configuration(CHECKOUT)
        .section::<Demo>("demo")
        .command("demo", demo::run)
        .command("bench", bench::run)
        .app(aqueduct_shop::app().command("verify", demo::verify::run))
        .main()
}
