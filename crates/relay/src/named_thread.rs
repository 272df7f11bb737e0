//! Threads for calls that block.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::error::LaneError;

/// Starts a thread. `body` must send its result: the thread is not joined.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), LaneError> {
    let thread = Builder::new().name(name.to_owned()).spawn(body);
    thread.map(drop).map_err(|source| LaneError::Spawn { name: name.to_owned(), source })
}

/// Starts a thread that ends before its scope does.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, LaneError> {
    let thread = Builder::new().name(name.to_owned()).spawn_scoped(scope, body);
    thread.map_err(|source| LaneError::Spawn { name: name.to_owned(), source })
}
