//! The shop's own binaries: one service each, on the product's configuration file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use aqueduct_projection::{PostgresOptions, registry_decoder};
use aqueduct_schema::{RegistryOptions, SchemaSet};
use aqueduct_service::{Process, ProcessError, TelemetryOptions, config};
use clap::Parser as _;
use serde::Deserialize;

use crate::{Deps, inventory, orders, users};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all services read of `aqueduct.toml`. The file's other parts are not looked at.
#[derive(Deserialize)]
struct Configuration {
    eventstore: Store,
    postgres: PostgresOptions,
    schemas: Schemas,
    http: Http,
    #[serde(default)]
    telemetry: TelemetryOptions,
}

/// What a reactor reads besides.
#[derive(Deserialize)]
struct ReactorConfiguration {
    kafka: Kafka,
    registry: RegistryOptions,
}

#[derive(Deserialize)]
struct Store {
    url: String,
    source: String,
}

#[derive(Deserialize)]
struct Kafka {
    brokers: String,
    prefix: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Schemas {
    directory: PathBuf,
}

#[derive(Deserialize)]
struct Http {
    users: SocketAddr,
    orders: SocketAddr,
    legacy_orders: SocketAddr,
    inventory: SocketAddr,
}

impl Configuration {
    fn deps(&self, file: &Path) -> Result<Deps, Failure> {
        // Relative to the file, wherever the process runs.
        let schemas = file.parent().unwrap_or(Path::new("")).join(&self.schemas.directory);
        let schemas = Arc::new(SchemaSet::load(schemas)?);
        let eventstore = aqueduct_eventstore::Options::new(&self.eventstore.url);
        Ok(Deps::new(eventstore, &self.postgres.url, schemas)?)
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
        let ReactorConfiguration { kafka, registry } = config::load(&arguments.config)?;
        let process = frame("aqueduct-shop-inventory", &configuration)?;
        let Configuration { eventstore, postgres, http, .. } = configuration;
        let reactor = aqueduct_projection::Options {
            prefix: kafka.prefix,
            source: eventstore.source,
            properties: kafka.properties,
            ..aqueduct_projection::Options::new(postgres, kafka.brokers)
        };
        let options = inventory::Options { listen: http.inventory, reactor };
        Ok(inventory::run(process, options, deps, registry_decoder(&registry)?).await?)
    })
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
