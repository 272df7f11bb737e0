//! The users service.

use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct_core::EventBus;
use aqueduct_service::{Process, ProcessError};
use serde::Deserialize;

use super::{UserEvent, router};
use crate::command::Commands;
use crate::deps::Deps;
use crate::metrics;

/// Options of the users service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Takes commands to users and answers queries until the process is asked to end.
pub async fn run(process: Process, options: Options, deps: Deps) -> Result<(), ProcessError> {
    metrics::describe();
    let mut bus = EventBus::default();
    metrics::count_events::<UserEvent>(&mut bus);
    let users = Commands::new(Arc::clone(&deps.store), deps.codec(), Arc::new(bus));
    let app = router(Arc::new(users), deps.views.clone());
    let watching = deps.watch(&process);
    process.run(options.listen, app, watching).await
}
