//! The inventory service: HTTP and the reactor, on the same shelves.

use std::sync::Arc;

use aqueduct::{Commands, EventBus, Failure, Service};

use super::notices::report_empty_shelves;
use super::{Shelves, StockReactor, router};
use crate::metrics;
use crate::settings::Settings;

/// Takes commands to shelves, answers queries and reacts to orders and returns. Any number of instances share
/// the reactor's work. Needs the event store, Kafka, the registry and Postgres.
pub async fn run(mut service: Service) -> Result<(), Failure> {
    metrics::describe();
    let Settings { inventory: listen, .. } = service.section()?;
    let connections = service.connections();
    let mut bus = EventBus::default();
    report_empty_shelves(&mut bus);
    let (store, codec, mapping) = (connections.event_store()?, connections.codec()?, connections.mapping()?);
    let commands = Commands::with_mapping(store, codec, Arc::new(bus), mapping);
    let shelves = Shelves::new(Arc::new(commands));
    let reactor = StockReactor::new(shelves.clone(), Arc::new(connections.commands()?));
    let app = router(shelves, connections.postgres()?);
    service.react(reactor)?;
    service.serve(listen, app).await
}
