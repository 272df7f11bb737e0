//! A client that lives as long as it is wanted: built when needed, built again when it has died, and with
//! TCP_NODELAY on its sockets.

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

/// An operation that took longer may have met Nagle's algorithm (40 ms and more): its socket is new.
const SUSPICIOUS: Duration = Duration::from_millis(30);
/// A server may be as slow as that for other reasons; then the sockets are looked through this often only.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// One client and the TCP connection it keeps. Operations and each subscription have one of their own: the
/// flow control window of an HTTP/2 connection is shared by all of its streams, so that subscriptions whose
/// consumers wait would hold back the very reads they wait for.
pub(crate) struct Connection {
    settings: ClientSettings,
    shown_url: Arc<str>,
    patience: Duration,
    peers: Peers,
    current: tokio::sync::Mutex<Option<Current>>,
    built: AtomicU64,
    last_look: Mutex<Option<Instant>>,
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

/// A client, and which one of its connection it is.
#[derive(Clone)]
pub(crate) struct Borrowed {
    pub(crate) client: Client,
    generation: u64,
}

impl Connection {
    pub(crate) fn new(settings: ClientSettings, shown_url: Arc<str>, patience: Duration) -> Self {
        Self {
            peers: Peers::of(&settings),
            settings,
            shown_url,
            patience,
            current: tokio::sync::Mutex::new(None),
            built: AtomicU64::new(0),
            last_look: Mutex::new(None),
        }
    }

    /// The client; a new one where there is none. A new one has connected, and its socket is set.
    pub(crate) async fn client(&self, operation: Operation<'_>) -> Result<Borrowed, StoreError> {
        let mut current = self.current.lock().await;
        if let Some(Current { client, generation }) = current.clone() {
            return Ok(Borrowed { client, generation });
        }
        let client = Client::new(self.settings.clone()).map_err(|error| operation.failed(error))?;
        // Makes the client connect, so that the socket is there to be set before the first request.
        match timeout(self.patience, client.server_info()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(operation.failed(error)),
            Err(_) => return Err(operation.timed_out()),
        }
        metrics::client_built();
        self.look_at_sockets().await;
        let generation = self.built.fetch_add(1, Ordering::Relaxed);
        *current = Some(Current { client: client.clone(), generation });
        Ok(Borrowed { client, generation })
    }

    /// Drops the client if it can't recover by itself.
    ///
    /// It does, to a single node: its connector makes a new TCP connection for the next request. But its own
    /// task ends for good when a discovery fails, and in a cluster it never leaves a node that is gone.
    pub(crate) async fn failed(&self, borrowed: &Borrowed, error: &Error) {
        match error {
            Error::ConnectionClosed | Error::GrpcConnectionError(_) => self.discard(borrowed).await,
            Error::ServerError(_) if self.peers.is_cluster() => self.discard(borrowed).await,
            Error::NotLeaderException(leader) => self.peers.add(leader),
            _ => {}
        }
    }

    /// Has the next caller get a new client. The old one's background task can't be ended from outside and
    /// stays, with at most one idle connection; that is why a client is not dropped for less.
    pub(crate) async fn discard(&self, borrowed: &Borrowed) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|current| current.generation == borrowed.generation) {
            *current = None;
        }
    }

    /// Tells how long an operation took. The client connects anew without a word whenever it has to, so a
    /// slow operation is the sign that a socket may be new.
    pub(crate) fn took(self: &Arc<Self>, duration: Duration) {
        if duration < SUSPICIOUS {
            return;
        }
        let now = Instant::now();
        {
            let mut last = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.duration_since(last) < BETWEEN_LOOKS) {
                return;
            }
            *last = Some(now);
        }
        self.socket_may_be_new();
    }

    /// Looks at the sockets soon, without keeping the caller.
    pub(crate) fn socket_may_be_new(self: &Arc<Self>) {
        let connection = Arc::clone(self);
        tokio::spawn(async move { connection.look_at_sockets().await });
    }

    /// Whether the client chooses among nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        self.peers.is_cluster()
    }

    /// Sets TCP_NODELAY where it is missing.
    async fn look_at_sockets(&self) {
        let set = self.peers.set_nodelay().await;
        if set > 0 {
            metrics::nodelay_set(set);
            tracing::debug!(sockets = set, url = %self.shown_url, "TCP_NODELAY set");
        }
    }
}
