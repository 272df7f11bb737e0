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
use aqueduct_service::sections::Http;
use aqueduct_service::{Process, ProcessError, TelemetryOptions, http, shutdown, telemetry};
use aqueduct_shop::{Deps, inventory, orders, users};
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
    tokio::spawn(relay.status().follow(move |problem| lanes.show(problem)));
    let shutdown = process.shutdown();
    Ok(process.run(configuration.http.relay, Router::new(), relay.run(shutdown)).await?)
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
        let component = process.health().component(projection.name());
        tokio::spawn(projection.status().follow(move |problem| component.show(problem)));
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
    let eventstore = aqueduct_eventstore::Options::new(&addresses.eventstore);
    let deps = Deps::new(eventstore, &addresses.postgres, configuration.schemas()?)?;
    let Http { users: for_users, orders: for_orders, legacy_orders, inventory: for_inventory, .. } =
        configuration.http;
    match *service {
        ShopService::Users => {
            let process = process("aqueduct-shop-users", &configuration)?;
            users::run(process, users::Options { listen: for_users }, deps).await?;
        }
        ShopService::Orders { legacy } => {
            let process = process("aqueduct-shop-orders", &configuration)?;
            let listen = if legacy { legacy_orders } else { for_orders };
            orders::run(process, orders::Options { listen, legacy }, deps).await?;
        }
        ShopService::Inventory => {
            let process = process("aqueduct-shop-inventory", &configuration)?;
            let reactor = configuration.projection_options(&addresses);
            let decoder = registry_decoder(&configuration.registry_options(&addresses))?;
            let options = inventory::Options { listen: for_inventory, reactor };
            inventory::run(process, options, deps, decoder).await?;
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
