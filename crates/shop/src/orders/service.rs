//! The orders service.

use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct_core::{Codec, EventBus};
use aqueduct_service::{Process, ProcessError};
use serde::Deserialize;

use super::{LegacyOrders, OrderEvent, ReturnEvent, router};
use crate::command::Commands;
use crate::deps::Deps;
use crate::metrics;

/// Options of the orders service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Be the old version of the service, which writes `OrderCreated` version 1, see [`LegacyOrders`].
    #[serde(default)]
    pub legacy: bool,
}

/// Takes commands to orders and returns and answers queries until the process is asked to end.
pub async fn run(process: Process, options: Options, deps: Deps) -> Result<(), ProcessError> {
    metrics::describe();
    let mut bus = EventBus::default();
    metrics::count_events::<OrderEvent>(&mut bus);
    metrics::count_events::<ReturnEvent>(&mut bus);
    let bus = Arc::new(bus);
    let codec: Arc<dyn Codec> = match options.legacy {
        true => Arc::new(LegacyOrders::new(Arc::clone(&deps.schemas))),
        false => deps.codec(),
    };
    let orders = Commands::new(Arc::clone(&deps.store), codec, Arc::clone(&bus));
    let returns = Commands::new(Arc::clone(&deps.store), deps.codec(), bus);
    let app = router(Arc::new(orders), Arc::new(returns), deps.views.clone());
    let watching = deps.watch(&process);
    process.run(options.listen, app, watching).await
}
