//! The end of `$all`, read once a process.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{EventStore, Position};
use futures::FutureExt as _;
use tokio::sync::watch;

/// How often the end is read.
const INTERVAL: Duration = Duration::from_secs(5);

/// The position of the last event in `$all`, as far as it is known, for the lag of the lanes.
#[derive(Debug)]
pub(crate) struct StoreEnd {
    last: watch::Sender<Option<Position>>,
}

impl StoreEnd {
    pub(crate) fn new() -> Self {
        Self { last: watch::Sender::new(None) }
    }

    /// The position, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Position>> {
        self.last.subscribe()
    }

    /// Reads the end at intervals while a lane wants to know it. Never completes.
    pub(crate) async fn follow(&self, store: Arc<dyn EventStore>) {
        loop {
            if self.last.receiver_count() > 0 {
                // An unreachable store is reported elsewhere.
                let last = AssertUnwindSafe(store.last_position()).catch_unwind().await;
                if let Ok(Ok(last)) = last {
                    self.last.send_replace(last);
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
