//! The inventory service: HTTP and the reactor, on the same shelves.

use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct_core::EventBus;
use aqueduct_projection::{Decoder, Projection};
use aqueduct_service::{Process, ProcessError};
use serde::Deserialize;

use super::notices::report_empty_shelves;
use super::{InventoryEvent, Shelves, StockReactor, router};
use crate::command::Commands;
use crate::deps::Deps;
use crate::metrics;
use crate::orders::OrderEvent;

/// Options of the inventory service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How the reactor reads the orders.
    pub reactor: aqueduct_projection::Options,
}

/// Takes commands to shelves, answers queries and reacts to orders and returns until the process is asked to
/// end. Any number of instances share the reactor's work. `decoder` reads the records of the topic.
pub async fn run(
    process: Process,
    options: Options,
    deps: Deps,
    decoder: Arc<dyn Decoder>,
) -> Result<(), ProcessError> {
    metrics::describe();
    aqueduct_projection::metrics::describe();
    let mut bus = EventBus::default();
    metrics::count_events::<InventoryEvent>(&mut bus);
    metrics::count_events::<OrderEvent>(&mut bus);
    report_empty_shelves(&mut bus);
    let bus = Arc::new(bus);
    let commands = Commands::new(Arc::clone(&deps.store), deps.codec(), Arc::clone(&bus));
    let shelves = Shelves::new(Arc::new(commands));
    let orders = Commands::new(Arc::clone(&deps.store), deps.codec(), bus);
    let reactor = StockReactor::new(shelves.clone(), Arc::new(orders));
    let reactor = Projection::reactor(options.reactor, decoder, reactor);
    let component = process.health().component("reactor");
    let app = router(shelves, deps.views.clone());
    let (watching, shutdown) = (deps.watch(&process), process.shutdown());
    let work = async move {
        let watching = tokio::spawn(watching);
        tokio::spawn(reactor.status().follow(move |problem| component.show(problem)));
        let reacted = reactor.run(shutdown.clone()).await;
        shutdown.cancel();
        drop(watching.await);
        reacted
    };
    process.run(options.listen, app, work).await
}
