//! Threads for calls that block.

use crate::error::LaneError;

/// Starts a thread. `body` must send its result: the thread is not joined.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), LaneError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map(drop).map_err(|source| LaneError::Spawn { name: name.to_owned(), source })
}
