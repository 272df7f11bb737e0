//! A devstore that can be stopped and restarted at the same address, and what the tests share.

pub(crate) mod proxy;
pub(crate) mod scripted;

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::{AllItem, NewEvent, RecordedEvent, StoreError};
use aqueduct_devstore::{Handle, Options as ServerOptions};
use aqueduct_eventstore::{EventStoreDb, Options};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A deadline for what happens within milliseconds; long, because the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    options: ServerOptions,
    address: SocketAddr,
    running: Option<(Handle, oneshot::Sender<()>)>,
}

impl Server {
    pub(crate) async fn in_memory() -> Self {
        Self::start(ServerOptions { nodelay: false, ..ServerOptions::in_memory() }).await
    }

    pub(crate) async fn durable(folder: &std::path::Path) -> Self {
        Self::start(ServerOptions { nodelay: false, ..ServerOptions::durable(folder) }).await
    }

    /// Has an address, but does not listen yet.
    pub(crate) async fn not_yet() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        Self { options: ServerOptions::in_memory(), address, running: None }
    }

    async fn start(options: ServerOptions) -> Self {
        let mut server = Self { options, ..Self::not_yet().await };
        server.resume().await;
        server
    }

    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let handle = aqueduct_devstore::start(self.options.clone(), listener, shutdown).await;
        self.running = Some((handle.expect("devstore starts"), stop));
    }

    pub(crate) async fn stop(&mut self) {
        let (handle, stop) = self.running.take().expect("it runs");
        drop(stop);
        soon(handle.stopped()).await.expect("it stops cleanly");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(format!("esdb://admin:s3cret@{}?tls=false", self.address))
    }

    pub(crate) fn store(&self) -> EventStoreDb {
        EventStoreDb::new(self.options()).expect("good options")
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("should have happened by now")
}

/// Waits until the condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    soon(async {
        while !condition().await {
            every.tick().await;
        }
    })
    .await;
}

pub(crate) fn event(text: &str) -> NewEvent {
    NewEvent {
        id: Uuid::new_v4(),
        event_type: "Noted".to_owned(),
        data: format!(r#"{{"text":"{text}"}}"#).into(),
        metadata: r#"{"about":"it"}"#.into(),
    }
}

pub(crate) type Subscription = BoxStream<'static, Result<AllItem, StoreError>>;

/// The next event that is not the server's own.
pub(crate) async fn next_event(subscription: &mut Subscription) -> RecordedEvent {
    loop {
        match soon(subscription.next()).await.expect("without end").expect("no final error") {
            AllItem::Event(event) if !event.stream.is_system() => return event,
            AllItem::Event(_) | AllItem::CaughtUp | AllItem::Resubscribed => {}
        }
    }
}
