//! `relay`: from the event store to Kafka.

use std::sync::Arc;

use aqueduct_eventstore::EventStoreDb;
use aqueduct_relay::Relay;
use axum::Router;

use crate::connections::{ConnectionError, Connections};
use crate::failure::Failure;
use crate::service::Service;

/// Needs the event store, Kafka and the registry.
pub(super) async fn run(name: &str, connections: Connections) -> Result<(), Failure> {
    let listen = connections.configuration().http.relay;
    let relay = make(&connections)?;
    let service = Service::new(name, connections)?;
    watch(&relay, &service);
    service.run(listen, Router::new(), |shutdown| async move { Ok(relay.run(shutdown).await?) }).await
}

/// The relay of the configuration.
pub(super) fn make(connections: &Connections) -> Result<Relay, Failure> {
    let configuration = connections.configuration();
    // A connection of its own, which the health check does not watch: the relay's status reports an unreachable store.
    let store = EventStoreDb::new(configuration.eventstore_options()?).map_err(ConnectionError::from)?;
    // While the routes join their consumer groups.
    let ahead = store.clone();
    tokio::spawn(async move { ahead.connect_ahead().await });
    let (cluster, options) = (configuration.cluster()?, configuration.relay_options());
    Ok(Relay::new(cluster, options, Arc::new(store), connections.schemas()?, connections.registry()?)?)
}

/// Adds the lanes to the health of the process.
pub(super) fn watch(relay: &Relay, service: &Service) {
    aqueduct_relay::metrics::describe();
    let lanes = service.health().component("lanes");
    tokio::spawn(relay.status().follow(move |problem| lanes.show(problem)));
}
