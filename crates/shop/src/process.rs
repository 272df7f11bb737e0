//! The shop's own binaries: one service each, on the product's configuration file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use aqueduct_projection::{PostgresOptions, registry_decoder};
use aqueduct_schema::{RegistryOptions, SchemaSet};
use aqueduct_service::sections::{EventStore, Http, Kafka, Postgres, Projection, Registry, Schemas};
use aqueduct_service::{Process, ProcessError, TelemetryOptions, config};
use clap::Parser as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Deps, inventory, orders, users};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `aqueduct.toml`, the parts of other processes unread.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    eventstore: EventStore,
    kafka: Kafka,
    registry: Registry,
    postgres: Postgres,
    schemas: Schemas,
    http: Http,
    #[serde(default)]
    projection: Projection,
    #[serde(default)]
    telemetry: TelemetryOptions,
    #[serde(default, rename = "relay")]
    _relay: IgnoredAny,
    #[serde(default, rename = "demo")]
    _demo: IgnoredAny,
}

impl Configuration {
    fn deps(&self, file: &Path) -> Result<Deps, Failure> {
        // Relative to the file, wherever the process runs.
        let schemas = file.parent().unwrap_or(Path::new("")).join(&self.schemas.directory);
        let schemas = Arc::new(SchemaSet::load(schemas)?);
        let eventstore = aqueduct_eventstore::Options::new(self.eventstore.address(file)?);
        Ok(Deps::new(eventstore, &self.postgres.address(file)?, schemas)?)
    }
}

/// A service of the shop by itself
#[derive(clap::Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file
    #[arg(long, env = "AQUEDUCT_CONFIG", default_value = "deploy/local/aqueduct.toml")]
    config: PathBuf,
}

/// The orders service of the shop by itself
#[derive(clap::Parser)]
#[command(version)]
struct OrdersArguments {
    #[command(flatten)]
    common: Arguments,
    /// As the old version of the service: `OrderCreated` is stored in version 1
    #[arg(long)]
    legacy: bool,
}

/// `main` of the binary `shop-users`: [`users::run`].
pub fn users() -> ExitCode {
    main(&Arguments::parse(), async |configuration, deps| {
        let process = frame("aqueduct-shop-users", &configuration)?;
        let options = users::Options { listen: configuration.http.users };
        Ok(users::run(process, options, deps).await?)
    })
}

/// `main` of the binary `shop-orders`: [`orders::run`].
pub fn orders() -> ExitCode {
    let OrdersArguments { common, legacy } = OrdersArguments::parse();
    main(&common, async |configuration, deps| {
        let process = frame("aqueduct-shop-orders", &configuration)?;
        let Http { orders, legacy_orders, .. } = configuration.http;
        let options = orders::Options { listen: if legacy { legacy_orders } else { orders }, legacy };
        Ok(orders::run(process, options, deps).await?)
    })
}

/// `main` of the binary `shop-inventory`: [`inventory::run`].
pub fn inventory() -> ExitCode {
    let arguments = Arguments::parse();
    main(&arguments, async |configuration, deps| {
        let Configuration { eventstore, kafka, registry, postgres, projection, http, .. } = &configuration;
        let file = &arguments.config;
        let (postgres, brokers) = (postgres.address(file)?, kafka.address(file)?);
        let reactor = projection_options(eventstore, kafka, projection, (&postgres, &brokers));
        let registry = registry_options(registry, &registry.address(file)?);
        let process = frame("aqueduct-shop-inventory", &configuration)?;
        let options = inventory::Options { listen: http.inventory, reactor };
        Ok(inventory::run(process, options, deps, registry_decoder(&registry)?).await?)
    })
}

/// What projections and reactors need, of these sections and the addresses of Postgres and the brokers.
pub fn projection_options(
    eventstore: &EventStore,
    kafka: &Kafka,
    projection: &Projection,
    (postgres, brokers): (&str, &str),
) -> aqueduct_projection::Options {
    let defaults = aqueduct_projection::Options::new(PostgresOptions::new(postgres), brokers);
    let Projection { batch_size, batch_wait_ms, concurrency, session_timeout_ms } = *projection;
    aqueduct_projection::Options {
        prefix: kafka.prefix.clone(),
        source: eventstore.source.clone(),
        properties: kafka.properties.clone(),
        batch_size: batch_size.unwrap_or(defaults.batch_size),
        batch_wait_ms: batch_wait_ms.unwrap_or(defaults.batch_wait_ms),
        concurrency: concurrency.unwrap_or(defaults.concurrency),
        session_timeout_ms: session_timeout_ms.unwrap_or(defaults.session_timeout_ms),
        ..defaults
    }
}

/// How to reach the registry at this address.
pub fn registry_options(registry: &Registry, address: &str) -> RegistryOptions {
    let Registry { username, password, authority, .. } = registry.clone();
    RegistryOptions { username, password, ca_file: authority, ..RegistryOptions::new(address) }
}

fn frame(name: &'static str, configuration: &Configuration) -> Result<Process, ProcessError> {
    let process = Process::new(name, &configuration.telemetry)?;
    aqueduct_eventstore::metrics::describe();
    Ok(process)
}

fn main(
    arguments: &Arguments,
    service: impl AsyncFnOnce(Configuration, Deps) -> Result<(), Failure>,
) -> ExitCode {
    let result =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from).and_then(
            |runtime| {
                runtime.block_on(async {
                    let configuration: Configuration = config::load(&arguments.config)?;
                    let deps = configuration.deps(&arguments.config)?;
                    service(configuration, deps).await
                })
            },
        );
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
