//! The product's processes: each a component in the frame that all of them share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aqueduct_core::EventStore;
use aqueduct_devstore as devstore;
use aqueduct_eventstore::EventStoreDb;
use aqueduct_projection::{Projection, registry_decoder};
use aqueduct_relay::Relay;
use aqueduct_schema::Registry;
use aqueduct_service::{Component, Process, ProcessError, TelemetryOptions, http, shutdown, telemetry};
use aqueduct_shop::{inventory, orders, users};
use axum::Router;
use tokio::task::JoinSet;

use crate::Failure;
use crate::configuration::{Addresses, Configuration};

fn store(addresses: &Addresses) -> Result<Arc<dyn EventStore>, Failure> {
    Ok(Arc::new(EventStoreDb::new(aqueduct_eventstore::Options::new(&addresses.eventstore))?))
}

fn process(name: &'static str, configuration: &Configuration) -> Result<Process, ProcessError> {
    let process = Process::new(name, &configuration.telemetry)?;
    aqueduct_eventstore::metrics::describe();
    Ok(process)
}

/// `aqueduct relay`
pub(crate) async fn relay(configuration: Configuration) -> Result<(), Failure> {
    let process = process("aqueduct-relay", &configuration)?;
    aqueduct_relay::metrics::describe();
    let addresses = configuration.addresses()?;
    let registry = Registry::new(&configuration.registry_options(&addresses))?;
    let options = configuration.relay_options(&addresses);
    let relay = Relay::new(options, store(&addresses)?, configuration.schemas()?, registry)?;
    let lanes = process.health().component("lanes");
    let mut status = relay.status();
    tokio::spawn(async move {
        loop {
            show(&lanes, &status.not_ready());
            if !status.changed().await {
                break;
            }
        }
    });
    let shutdown = process.shutdown();
    Ok(process.run(configuration.http.relay, Router::new(), relay.run(shutdown)).await?)
}

fn show(component: &Component, not_ready: &std::collections::BTreeMap<String, String>) {
    match not_ready.is_empty() {
        true => component.ready(),
        false => {
            let reasons: Vec<_> =
                not_ready.iter().map(|(part, reason)| format!("{part}: {reason}")).collect();
            component.not_ready(reasons.join("; "));
        }
    }
}

/// `aqueduct project`
pub(crate) async fn project(configuration: Configuration) -> Result<(), Failure> {
    let process = process("aqueduct-project", &configuration)?;
    aqueduct_projection::metrics::describe();
    let addresses = configuration.addresses()?;
    let options = configuration.projection_options(&addresses);
    let decoder = registry_decoder(&configuration.registry_options(&addresses))?;
    let mut projections = JoinSet::new();
    for projection in [
        Projection::view::<users::Customers>(options.clone(), Arc::clone(&decoder)),
        Projection::view::<orders::Orders>(options.clone(), Arc::clone(&decoder)),
        Projection::deltas::<orders::Revenue>(options.clone(), Arc::clone(&decoder)),
        Projection::view::<inventory::Stock>(options, decoder),
    ] {
        projections.spawn(projection.run(process.shutdown()));
    }
    let shutdown = process.shutdown();
    let all = async {
        let mut result = Ok(());
        while let Some(ended) = projections.join_next().await {
            if let Err(error) = ended.map_err(Failure::from).and_then(|ended| ended.map_err(Failure::from)) {
                // One gave up: the others end in order.
                shutdown.cancel();
                result = Err(error);
            }
        }
        result
    };
    Ok(process.run(configuration.http.project, Router::new(), all).await?)
}

#[derive(clap::Subcommand)]
pub(crate) enum ShopService {
    /// Takes registrations
    Users,
    /// Takes orders and returns
    Orders {
        /// As the old version of the service: `OrderCreated` is stored in version 1
        #[arg(long)]
        legacy: bool,
    },
    /// Keeps the stock: takes deliveries, reacts to orders
    Inventory,
}

/// `aqueduct shop …`
pub(crate) async fn shop(service: &ShopService, configuration: Configuration) -> Result<(), Failure> {
    let addresses = configuration.addresses()?;
    let process = process("aqueduct-shop", &configuration)?;
    aqueduct_shop::metrics::describe();
    let store = store(&addresses)?;
    let schemas = configuration.schemas()?;
    let views = sqlx::PgPool::connect(&addresses.postgres).await?;
    let bus = Arc::new(aqueduct_core::EventBus::default());
    let shutdown = process.shutdown();
    let idle = async {
        shutdown.cancelled().await;
        Ok::<(), Failure>(())
    };
    match service {
        ShopService::Users => {
            let commands = Arc::new(aqueduct_shop::Commands::new(store, schemas, bus));
            process.run(configuration.http.users, users::router(commands, views), idle).await?;
        }
        ShopService::Orders { legacy } => {
            let codec: Arc<dyn aqueduct_core::Codec> = match legacy {
                true => Arc::new(orders::LegacyOrders::new(Arc::clone(&schemas))),
                false => schemas,
            };
            let orders = Arc::new(aqueduct_shop::Commands::new(
                Arc::clone(&store),
                Arc::clone(&codec),
                Arc::clone(&bus),
            ));
            let returns = Arc::new(aqueduct_shop::Commands::new(store, codec, bus));
            let address = if *legacy { configuration.http.legacy_orders } else { configuration.http.orders };
            process.run(address, orders::router(orders, returns, views), idle).await?;
        }
        ShopService::Inventory => {
            let shelves = inventory::Shelves::new(Arc::new(aqueduct_shop::Commands::new(
                Arc::clone(&store),
                schemas.clone(),
                Arc::clone(&bus),
            )));
            let orders = Arc::new(aqueduct_shop::Commands::new(store, schemas, bus));
            let reactor = inventory::StockReactor::new(shelves.clone(), orders);
            let decoder = registry_decoder(&configuration.registry_options(&addresses))?;
            let options = configuration.projection_options(&addresses);
            let reactor = Projection::reactor(options, decoder, reactor);
            let shutdown = process.shutdown();
            process
                .run(configuration.http.inventory, inventory::router(shelves, views), reactor.run(shutdown))
                .await?;
        }
    }
    Ok(())
}

/// A single-node event store for development and tests, which EventStoreDB's clients connect to
#[derive(clap::Args)]
pub(crate) struct DevstoreArguments {
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

/// `aqueduct devstore`
#[expect(clippy::print_stdout, reason = "the connection string is the command's output")]
pub(crate) async fn devstore(arguments: DevstoreArguments) -> Result<(), Failure> {
    let DevstoreArguments { listen, data, in_memory } = arguments;
    let _telemetry = telemetry::init("aqueduct-devstore", &TelemetryOptions::default())?;
    let shutdown = shutdown::on_signal()?;
    let options = match in_memory {
        true => devstore::Options::in_memory(),
        false => devstore::Options::durable(data),
    };
    let listener = http::bind(listen).await?;
    let server = devstore::start(options, listener, shutdown.cancelled_owned()).await?;
    println!("{}", server.connection_string());
    Ok(server.stopped().await?)
}
