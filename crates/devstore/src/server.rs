//! The server's life: start, requests, shutdown.

use std::{future::Future, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::grpc::{
    Discovery, GossipServer, MAX_MESSAGE, ServerFeaturesServer, StreamsServer, StreamsService,
};
use crate::http;
use crate::options::{Options, Storage};
use crate::storage::{Durable, Memory, StorageError, Store};
use crate::writer::{StartWriterError, Writer};

/// Time-out of calls in flight during a shutdown; subscriptions end at once.
const GRACE: Duration = Duration::from_secs(5);

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder cannot be opened: no permission, not an event log, damaged, or in use by another process.
    #[error("cannot open the event log")]
    Open(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A system call failed.
    #[error("cannot start the event store")]
    Io(#[source] io::Error),
}

/// The server ended because its storage failed. Acknowledged appends are safe; whether the last unacknowledged ones are
/// stored is unknown until the server is restarted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the event store stopped: its storage failed")]
pub struct StorageFailed(#[source] Arc<dyn std::error::Error + Send + Sync>);

/// A running server. Clones are cheap and refer to the same server, which continues without them.
#[derive(Debug, Clone)]
pub struct Handle {
    address: SocketAddr,
    outcome: watch::Receiver<Option<Result<(), StorageFailed>>>,
}

impl Handle {
    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection string, `esdb://…`: without TLS, and without the half second that the `eventstore` crate sleeps by
    /// default before each connection.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!("esdb://{}?tls=false&discoveryInterval=1", self.address)
    }

    /// Waits until the server has ended and its storage is closed; then the folder can be opened again.
    ///
    /// # Errors
    ///
    /// If its storage failed.
    pub async fn stopped(&self) -> Result<(), StorageFailed> {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        // The sender is gone without an outcome only if the runtime is being shut down.
        ended.map_or(Ok(()), |outcome| outcome.clone().unwrap_or(Ok(())))
    }
}

/// Starts a server on `listener`. It is ready when this returns, and ends when `shutdown` does:
/// subscriptions end with status UNAVAILABLE at once, other calls may finish for five seconds.
///
/// An acknowledged append is on disk (with [`Storage::Durable`]) and visible to every later read and subscription; all
/// see the events in the same order.
///
/// # Errors
///
/// If the storage cannot be opened.
pub async fn start(
    options: Options,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Handle, StartError> {
    let address = listener.local_addr().map_err(StartError::Io)?;
    let kept = match &options.data {
        Storage::InMemory => "in memory".to_owned(),
        Storage::Durable(folder) => format!("in {}", folder.display()),
    };
    let (failed, failure) = oneshot::channel();
    let (store, writer, thread) = tokio::task::spawn_blocking(move || open(&options.data, failed))
        .await
        .map_err(|error| StartError::Io(error.into()))??;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let streams =
        StreamsService::new(store, writer, tasks.clone(), stop.clone(), options.cut_off_slow_consumers);
    let server = Server { nodelay: options.nodelay, router: router(streams, address), stop, tasks, thread };
    tracing::info!(%address, "event store for development and tests, events are kept {kept}");
    let (ended, outcome) = watch::channel(None);
    tokio::spawn(async move {
        let result = server.run(listener, shutdown, failure).await;
        ended.send_replace(Some(result));
    });
    Ok(Handle { address, outcome })
}

type Opened = (Arc<dyn Store>, Writer, JoinHandle<()>);

fn open(data: &Storage, failed: oneshot::Sender<StorageError>) -> Result<Opened, StartError> {
    let store: Arc<dyn Store> = match data {
        Storage::InMemory => Arc::new(Memory::default()),
        Storage::Durable(folder) => {
            Arc::new(Durable::open(folder).map_err(|error| StartError::Open(error.into()))?)
        }
    };
    let (writer, thread) = Writer::start(store.clone(), failed).map_err(|error| match error {
        StartWriterError::Read(error) => StartError::Open(error.into()),
        StartWriterError::Thread(error) => StartError::Io(error),
    })?;
    Ok((store, writer, thread))
}

fn router(streams: StreamsService, address: SocketAddr) -> Router {
    let discovery = Discovery::new(address);
    let streams = StreamsServer::new(streams).max_decoding_message_size(MAX_MESSAGE);
    http::router()
        .route_service("/event_store.client.streams.Streams/{method}", streams)
        .route_service(
            "/event_store.client.server_features.ServerFeatures/{method}",
            ServerFeaturesServer::new(discovery.clone()),
        )
        .route_service("/event_store.client.gossip.Gossip/{method}", GossipServer::new(discovery))
        .fallback(http::unknown)
}

struct Server {
    nodelay: bool,
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
    thread: JoinHandle<()>,
}

impl Server {
    async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        failure: oneshot::Receiver<StorageError>,
    ) -> Result<(), StorageFailed> {
        let Self { nodelay, router, stop, tasks, thread } = self;
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown, failure);
        let result = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => accept(socket, nodelay, &router, &graceful, &mut connections),
                    Err(error) => refused(&error).await,
                },
                Some(_) = connections.join_next() => {}
                () = &mut shutdown => break Ok(()),
                error = &mut failure => {
                    let error: Arc<dyn std::error::Error + Send + Sync> = match error {
                        Ok(error) => Arc::new(error),
                        // The writing thread panicked.
                        Err(error) => Arc::new(error),
                    };
                    tracing::error!(error = &*error as &dyn std::error::Error, "stopping: the storage failed");
                    break Err(StorageFailed(error));
                }
            }
        };
        drop(listener);
        stop.cancel();
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("closing connections that were still busy after {GRACE:?}");
        }
        connections.shutdown().await;
        tasks.close();
        tasks.wait().await;
        // The router holds the last sender of changes; without it the writing thread ends.
        drop(router);
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the writing thread panicked");
        }
        result
    }
}

fn accept(
    socket: TcpStream,
    nodelay: bool,
    router: &Router,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    if nodelay && let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // As the real server: the number of calls on a connection is not limited, or many subscriptions
    // would leave no room for appends.
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(None);
    let service = TowerToHyperService::new(router.clone());
    let connection = builder.serve_connection(TokioIo::new(socket), service).into_owned();
    let connection = graceful.watch(connection);
    connections.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = &*error, "connection failed");
        }
    });
}

/// Usually too many open files: waits, because the loop would spin.
async fn refused(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
