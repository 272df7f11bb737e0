//! A client that is built when needed and rebuilt when it has failed, with TCP_NODELAY on its sockets.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct_core::StoreError;
use eventstore::{Client, ClientSettings, Error};
use tokio::time::{Instant, timeout};

use crate::error::Operation;
use crate::metrics;
use crate::peers::Peers;

/// A slower operation may have been delayed by Nagle's algorithm (40 ms and more): its socket is new.
const SUSPICIOUS: Duration = Duration::from_millis(30);
/// Pause between two searches for the socket of a client that connects. Without TCP_NODELAY the first request took 40 to
/// 120 ms.
const SEARCH_PAUSE: Duration = Duration::from_millis(2);
const MOST_SEARCHES: u32 = 50;
/// A server can be that slow for other reasons, so the sockets are not checked more often than this.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// One client and the TCP connection it keeps. Operations and each subscription have one of their own: the
/// flow control window of an HTTP/2 connection is shared by all of its streams, so that subscriptions whose
/// consumers wait would hold back the very reads they wait for.
pub(crate) struct Connection {
    settings: ClientSettings,
    shown_url: Arc<str>,
    time_out: Duration,
    peers: Peers,
    current: tokio::sync::Mutex<Option<Current>>,
    built: AtomicU64,
    last_check: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    generation: u64,
}

/// The client's settings show the password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("url", &self.shown_url).finish_non_exhaustive()
    }
}

/// A client with its generation.
#[derive(Clone)]
pub(crate) struct Borrowed {
    pub(crate) client: Client,
    generation: u64,
}

impl Connection {
    pub(crate) fn new(settings: ClientSettings, shown_url: Arc<str>, time_out: Duration) -> Self {
        Self {
            peers: Peers::of(&settings),
            settings,
            shown_url,
            time_out,
            current: tokio::sync::Mutex::new(None),
            built: AtomicU64::new(0),
            last_check: Mutex::new(None),
        }
    }

    /// The current client, or a new one that has connected and has TCP_NODELAY set.
    pub(crate) async fn client(&self, operation: Operation<'_>) -> Result<Borrowed, StoreError> {
        let mut current = self.current.lock().await;
        if let Some(Current { client, generation }) = current.clone() {
            return Ok(Borrowed { client, generation });
        }
        let client = Client::new(self.settings.clone()).map_err(|error| operation.failed(error))?;
        self.connect(&client, operation).await?;
        metrics::client_built();
        self.check_sockets().await;
        let generation = self.built.fetch_add(1, Ordering::Relaxed);
        *current = Some(Current { client: client.clone(), generation });
        Ok(Borrowed { client, generation })
    }

    /// Makes the client connect, and sets its socket as soon as it is there.
    async fn connect(&self, client: &Client, operation: Operation<'_>) -> Result<(), StoreError> {
        let set_sockets = async {
            self.peers.resolve().await;
            for _ in 0..MOST_SEARCHES {
                self.set_sockets();
                tokio::time::sleep(SEARCH_PAUSE).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            connected = timeout(self.time_out, client.server_info()) => match connected {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(operation.failed(error)),
                Err(_) => Err(operation.timed_out()),
            },
            never = set_sockets => never,
        }
    }

    /// Drops the client if it cannot recover.
    ///
    /// With a single node it recovers: its connector opens a new TCP connection for the next request. But its task
    /// ends permanently when a discovery fails, and in a cluster it never leaves a node that is down.
    pub(crate) async fn failed(&self, borrowed: &Borrowed, error: &Error) {
        match error {
            Error::ConnectionClosed | Error::GrpcConnectionError(_) => self.discard(borrowed).await,
            Error::ServerError(_) if self.peers.is_cluster() => self.discard(borrowed).await,
            Error::NotLeaderException(leader) => self.peers.add(leader),
            _ => {}
        }
    }

    /// Makes the next caller build a new client. The background task of the old one cannot be stopped and stays, with
    /// at most one idle connection; that is why a client is kept if possible.
    pub(crate) async fn discard(&self, borrowed: &Borrowed) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|current| current.generation == borrowed.generation) {
            *current = None;
        }
    }

    /// Records the duration of an operation. The client reconnects silently, so a slow operation is the sign that a
    /// socket may be new.
    pub(crate) fn took(self: &Arc<Self>, duration: Duration) {
        if duration < SUSPICIOUS {
            return;
        }
        let now = Instant::now();
        {
            let mut last = self.last_check.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.duration_since(last) < CHECK_INTERVAL) {
                return;
            }
            *last = Some(now);
        }
        self.socket_may_be_new();
    }

    /// Checks the sockets in the background.
    pub(crate) fn socket_may_be_new(self: &Arc<Self>) {
        let connection = Arc::clone(self);
        tokio::spawn(async move { connection.check_sockets().await });
    }

    /// Whether the client chooses between nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        self.peers.is_cluster()
    }

    /// Sets TCP_NODELAY where it is missing.
    async fn check_sockets(&self) {
        self.peers.resolve().await;
        self.set_sockets();
    }

    /// Sets TCP_NODELAY where it is missing, on sockets to the known addresses.
    fn set_sockets(&self) {
        let set = self.peers.set_nodelay();
        if set > 0 {
            metrics::nodelay_set(set);
            tracing::debug!(sockets = set, url = %self.shown_url, "TCP_NODELAY set");
        }
    }
}
