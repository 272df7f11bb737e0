use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::error::StartError;
use crate::port;

pub(crate) type Serving = Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;
pub(crate) type Starting = Pin<Box<dyn Future<Output = Result<Serving, StartError>> + Send>>;
/// Opens the data and returns the future that serves until the receiver fires.
pub(crate) type Serve = dyn Fn(TcpListener, oneshot::Receiver<()>) -> Starting + Send + Sync;

/// A started part that runs in this process. It can be stopped, killed and restarted on the same port and data.
///
/// It has a runtime of its own: it outlives the runtime of the test that started it, and its end closes its
/// connections.
pub struct Embedded {
    part: &'static str,
    address: SocketAddr,
    serve: Box<Serve>,
    running: Mutex<Option<Running>>,
}

struct Running {
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

const STOPPED_WITHIN: Duration = Duration::from_secs(5);

impl Embedded {
    pub(crate) fn new(part: &'static str, port: u16, serve: Box<Serve>) -> Self {
        Self { part, address: port::loopback(port), serve, running: Mutex::new(None) }
    }

    /// Starts it on the same port and data as before. Does nothing if it runs.
    pub async fn start(&self) -> Result<(), StartError> {
        let mut running = self.running.lock().await;
        if running.is_some() {
            return Ok(());
        }
        let at_part = || StartError::io("run in this process the part", Path::new(self.part));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(self.part)
            .enable_all()
            .build()
            .map_err(at_part())?;
        let (stop, stopped) = oneshot::channel();
        let in_use = |_| StartError::PortInUse { part: self.part, port: self.address.port() };
        let opened = match std::net::TcpListener::bind(self.address).map_err(in_use) {
            Ok(listener) => self.open(&runtime, listener, stopped).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(serving) => {
                let served = runtime.spawn(serving);
                *running = Some(Running { runtime, stop, served });
                Ok(())
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Opens the data on the part's own runtime, which the listener then belongs to.
    async fn open(
        &self,
        runtime: &Runtime,
        listener: std::net::TcpListener,
        stopped: oneshot::Receiver<()>,
    ) -> Result<Serving, StartError> {
        let at_part = || StartError::io("run in this process the part", Path::new(self.part));
        listener.set_nonblocking(true).map_err(at_part())?;
        let starting = {
            let _inside = runtime.enter();
            let listener = TcpListener::from_std(listener).map_err(at_part())?;
            (self.serve)(listener, stopped)
        };
        runtime.spawn(starting).await.map_err(|error| at_part()(error.into()))?
    }

    /// Stops it gracefully: requests in flight have a few seconds. Does nothing if it does not run.
    pub async fn stop(&self) {
        let Some(Running { runtime, stop, served }) = self.running.lock().await.take() else { return };
        // The receiver is gone only if the server has ended by itself.
        let _ = stop.send(());
        if let Ok(Ok(Err(error))) = tokio::time::timeout(STOPPED_WITHIN, served).await {
            tracing::warn!(part = self.part, %error, "part ended with an error");
        }
        end(runtime).await;
    }

    /// Ends it at once, as a crash would. Does nothing if it does not run.
    pub async fn kill(&self) {
        if let Some(running) = self.running.lock().await.take() {
            end(running.runtime).await;
        }
    }

    /// Whether it runs.
    pub async fn is_running(&self) -> bool {
        self.running.lock().await.as_ref().is_some_and(|running| !running.served.is_finished())
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Drops the tasks of a runtime. That may block, so an asynchronous context must not do it itself.
async fn end(runtime: Runtime) {
    // The blocking task cannot panic; if the caller's runtime ends first, the drop happens there.
    let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await;
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().take() {
            running.runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("part", &self.part)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
