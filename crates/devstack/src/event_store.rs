//! The event store of `aqueduct-devstore`, durable, in this process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aqueduct_devstore::{Handle, Options, StartError as StoreError};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::embedded::{Embedded, Serving};
use crate::error::StartError;

pub(crate) const PART: &str = "event store";

/// How long a store that was just killed may still hold the files.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

/// An event store that listens on the port and keeps its events in the folder. It does not accept requests yet.
pub(crate) fn event_store(port: u16, folder: PathBuf) -> Embedded {
    Embedded::new(
        PART,
        port,
        Box::new(move |listener, stopped| Box::pin(serve(folder.clone(), listener, stopped))),
    )
}

async fn serve(
    folder: PathBuf,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> Result<Serving, StartError> {
    let (stop, stopping) = watch::channel(());
    let handle = open(&folder, listener, stopping).await?;
    Ok(Box::pin(async move {
        let told_to_stop = async {
            let _ = stopped.await;
            drop(stop);
            handle.stopped().await
        };
        // The store also ends by itself, when its storage fails.
        let ended = tokio::select! { ended = handle.stopped() => ended, ended = told_to_stop => ended };
        ended.map_err(std::io::Error::other)
    }))
}

async fn open(
    folder: &Path,
    listener: TcpListener,
    stopping: watch::Receiver<()>,
) -> Result<Handle, StartError> {
    let failed = |source| StartError::EventStore { path: folder.to_owned(), source };
    let copied = |error| failed(StoreError::Io(error));
    let listener = listener.into_std().map_err(copied)?;
    let deadline = Instant::now() + RELEASED_WITHIN;
    loop {
        let listener = listener.try_clone().and_then(TcpListener::from_std).map_err(copied)?;
        let mut stopping = stopping.clone();
        let shutdown = async move {
            // Ends when the sender goes.
            let _ = stopping.changed().await;
        };
        match aqueduct_devstore::start(Options::durable(folder), listener, shutdown).await {
            Err(StoreError::Open(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            started => return started.map_err(failed),
        }
    }
}
