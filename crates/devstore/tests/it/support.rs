//! A server for one test.

use std::future::pending;

use aqueduct_devstore::{Handle, Options, start};
use tokio::{net::TcpListener, sync::oneshot};

/// Ends its server when told to, or with the test.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    stop: oneshot::Sender<()>,
}

impl Running {
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            if stopped.await.is_err() {
                pending::<()>().await;
            }
        };
        Self { handle: start(options, listener, shutdown).await.unwrap(), stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.handle.stopped().await.unwrap();
    }
}
