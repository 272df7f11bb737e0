//! The orders service, and its old version.

use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct::{Codec, Commands, Failure, Service};

use super::{LegacyOrders, router};
use crate::settings::Settings;

/// Takes commands to orders and returns and answers queries. Needs the event store and Postgres.
pub async fn run(service: Service) -> Result<(), Failure> {
    let Settings { orders: listen, .. } = service.section()?;
    let codec = service.connections().codec()?;
    serve(service, listen, codec).await
}

/// As [`run`], but stores `OrderCreated` in version 1, see [`LegacyOrders`].
pub async fn run_legacy(service: Service) -> Result<(), Failure> {
    let Settings { legacy_orders: listen, .. } = service.section()?;
    let codec = LegacyOrders::new(service.connections().schemas()?);
    serve(service, listen, Arc::new(codec)).await
}

async fn serve(service: Service, listen: SocketAddr, codec: Arc<dyn Codec>) -> Result<(), Failure> {
    let connections = service.connections();
    let (store, mapping) = (connections.event_store()?, connections.mapping()?);
    let orders = Commands::with_mapping(store, codec, Arc::default(), mapping);
    let returns = connections.commands()?;
    let app = router(Arc::new(orders), Arc::new(returns), connections.postgres()?);
    service.serve(listen, app).await
}
