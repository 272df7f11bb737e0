//! The product binary, `aqueduct`: an App without views of its own, with the demo, the benchmarks, and the sample
//! system as `aqueduct shop …`.

mod bench;
mod configuration;
mod demo;

use std::process::ExitCode;

use aqueduct::{App, Failure};

use tikv_jemallocator::Jemalloc;

use self::configuration::Demo;

/// A batch of the relay is allocated by one thread and freed by others, one of a projection is kept until it is written. With
/// glibc's allocator the same events cost the relay 2.4 to 3.2 seconds of CPU per 100,000 and with this one 1.6 to 1.8; 2.2
/// against 1.7 in a projection. It also serves librdkafka: it takes the place of `malloc`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

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
