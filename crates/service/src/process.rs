//! The frame around what a process does.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::http::{self, BindError};
use crate::telemetry::{self, TelemetryError};
use crate::{Health, Telemetry, TelemetryOptions, shutdown};

/// What a process prints on stdout, before its URL, once it listens.
const ANNOUNCEMENT: &str = "listening on ";

/// A process with logs, traces, metrics, health, and a way to end in order.
#[derive(Debug)]
pub struct Process {
    telemetry: Telemetry,
    health: Health,
    shutdown: CancellationToken,
}

/// A process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Logs, traces or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Its port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Signals cannot be waited for, or the port failed later.
    #[error("the operating system failed the process")]
    Io(#[from] std::io::Error),
    /// What it does has failed.
    #[error(transparent)]
    Component(Box<dyn std::error::Error + Send + Sync>),
}

impl Process {
    /// Sets up telemetry and signals for the whole process; must be called within a tokio runtime, once.
    pub fn new(name: &str, telemetry: &TelemetryOptions) -> Result<Self, ProcessError> {
        let telemetry = telemetry::init(name, telemetry)?;
        Ok(Self { telemetry, health: Health::default(), shutdown: shutdown::on_signal()? })
    }

    /// Which parts are ready.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Cancelled when the process is asked to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Listens on `address`, announces it, and serves `app` while `component` runs, until one of them fails or the
    /// process receives a signal to stop. Then both finish their current work.
    pub async fn run<E>(
        self,
        address: SocketAddr,
        app: Router,
        component: impl Future<Output = Result<(), E>>,
    ) -> Result<(), ProcessError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let listener = http::bind(address).await?;
        announce(listener.local_addr()?);
        let Self { telemetry, health, shutdown } = &self;
        let serve = async {
            let served = http::serve(listener, app, telemetry, health, shutdown.clone()).await;
            shutdown.cancel();
            served.map_err(ProcessError::Io)
        };
        let component = async {
            let ended = component.await;
            shutdown.cancel();
            ended.map_err(|error| ProcessError::Component(error.into()))
        };
        let (served, ended) = tokio::join!(serve, component);
        ended.and(served)
    }
}

#[expect(clippy::print_stdout, reason = "read by whoever started the process")]
fn announce(address: SocketAddr) {
    println!("{ANNOUNCEMENT}http://{address}");
}

/// The URL that a process has announced in its output: for whoever started it on a free port.
pub fn announced(output: &str) -> Option<&str> {
    // A line without its end may still be growing.
    let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(str::trim_end).find_map(|line| line.strip_prefix(ANNOUNCEMENT))
}
