//! The product's services, each a process of its own from this very binary.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use aqueduct_devstack::{Child, Conditions, tail};
use aqueduct_service::announced;
use nix::sys::signal::Signal;
use tokio::time::Instant;

/// How long a service may take until it listens.
const START: Duration = Duration::from_secs(60);
/// How long a service may take to finish what is at hand.
const STOP: Duration = Duration::from_secs(30);
/// How long a service may take to say whether it is ready.
const ANSWER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// For requests to the services: they are on this machine, whatever proxy leads out of it.
pub(crate) fn client() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().no_proxy().build().unwrap_or_default());
    CLIENT.clone()
}

/// What each service is told: the configuration file, and what differs from it.
#[derive(Clone)]
pub(crate) struct Environment {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// Overrides, among them URLs with passwords: passed on in the environment only.
    pub(crate) overrides: Vec<(String, String)>,
    /// Where the services log.
    pub(crate) logs: PathBuf,
}

/// A running service.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    url: String,
    log: PathBuf,
}

/// A service did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("service {name} can't be started")]
    Spawn { name: &'static str, source: std::io::Error },
    #[error("service {name} ended ({status}); the end of its log, {log}:\n{tail}")]
    Ended { name: &'static str, status: String, log: PathBuf, tail: String },
    #[error("service {name} does not listen after {START:?}; the end of its log, {log}:\n{tail}")]
    Silent { name: &'static str, log: PathBuf, tail: String },
}

impl Service {
    /// Starts `aqueduct <arguments>` and waits until it listens. It listens on a free port.
    pub(crate) async fn start(
        name: &'static str,
        arguments: &[&str],
        environment: &Environment,
    ) -> Result<Self, ServiceError> {
        let spawn = |source| ServiceError::Spawn { name, source };
        let log = environment.logs.join(format!("{name}.log"));
        // A resumed run appends; only what this process says counts.
        let written_before = std::fs::metadata(&log).map_or(0, |file| file.len()) as usize;
        let mut command = Command::new(std::env::current_exe().map_err(spawn)?);
        command.arg("--config").arg(&environment.config).args(arguments);
        command.envs(environment.overrides.iter().map(|(key, value)| (key, value)));
        let child = Child::spawn(command, &Conditions::plain(), &log).map_err(spawn)?;
        let mut service = Self { name, child, url: String::new(), log };
        let deadline = Instant::now() + START;
        loop {
            if let Some(url) = service.announced(written_before) {
                service.url = url;
                return Ok(service);
            }
            service.check()?;
            if Instant::now() > deadline {
                let (name, log) = (service.name, service.log.clone());
                return Err(ServiceError::Silent { name, tail: tail(&log), log });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn announced(&self, written_before: usize) -> Option<String> {
        let log = std::fs::read(&self.log).ok()?;
        let text = String::from_utf8_lossy(log.get(written_before..)?);
        announced(&text).map(str::to_owned)
    }

    /// Fails if the service has ended.
    pub(crate) fn check(&mut self) -> Result<(), ServiceError> {
        let name = self.name;
        match self.child.ended().map_err(|source| ServiceError::Spawn { name, source })? {
            None => Ok(()),
            Some(status) => {
                let (status, log) = (status.to_string(), self.log.clone());
                Err(ServiceError::Ended { name, status, tail: tail(&log), log })
            }
        }
    }

    /// What keeps it from its work, as it says itself; what several of its parts say is said once.
    pub(crate) async fn problem(&self) -> Option<String> {
        let answer = client().get(format!("{}/health/ready", self.url)).timeout(ANSWER).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => {
                let parts: HashMap<String, String> = answer.json().await.unwrap_or_default();
                let reasons: BTreeSet<String> = parts.into_values().collect();
                Some(reasons.into_iter().collect::<Vec<_>>().join("; "))
            }
            Err(_) => Some("it does not answer".to_owned()),
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks the service to end and waits; after a while it is killed.
    pub(crate) async fn stop(mut self) {
        self.child.signal(Signal::SIGTERM);
        if !matches!(self.child.wait(STOP).await, Ok(Some(_))) {
            tracing::warn!(service = self.name, "did not end in time and was killed");
        }
    }
}
