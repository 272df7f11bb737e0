//! The state that the calls of the Streams service share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

use super::errors;
use crate::storage::{StorageError, Store};
use crate::writer::Writer;

/// The state that all calls share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) writer: Writer,
    /// Tasks that use the store outside of connections: they end before the store is closed.
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Whether a consumer that is too slow for live events is cut off.
    pub(super) cuts_off: bool,
}

impl Shared {
    /// Reads on a blocking thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, Status> {
        let store = self.store.clone();
        match self.tasks.spawn_blocking(move || read(&*store)).await {
            Ok(result) => result.map_err(errors::unreadable),
            Err(_) => Err(errors::shutting_down()),
        }
    }

    pub(super) fn end(&self) -> watch::Receiver<u64> {
        self.writer.end()
    }
}
