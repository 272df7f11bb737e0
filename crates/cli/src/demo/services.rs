//! The product's services, each a process of its own from this binary.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use aqueduct_devstack::{Child, Conditions, tail};
use aqueduct_service::announced;
use nix::sys::signal::Signal;
use tokio::time::Instant;

/// Time-out of a service's start.
const START: Duration = Duration::from_secs(60);
/// Time-out of a service's graceful shutdown.
const STOP: Duration = Duration::from_secs(30);
/// Time-out of a request to a service.
const ANSWER: Duration = Duration::from_secs(2);
/// What is said of a process that does not answer a poll.
pub(crate) const NO_ANSWER: &str = "does not answer: is it frozen or overloaded?";
const POLL: Duration = Duration::from_millis(20);

/// For requests to the services. They are on this machine, so no proxy is used.
pub(crate) fn client() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().no_proxy().timeout(ANSWER).build().unwrap_or_default());
    CLIENT.clone()
}

/// The configuration of the services: the file and overrides.
#[derive(Clone)]
pub(crate) struct Environment {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// Overrides, among them URLs with passwords: passed in the environment only.
    pub(crate) overrides: Vec<(String, String)>,
    /// The directory of the services' logs.
    pub(crate) logs: PathBuf,
}

/// A running service.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    url: String,
    log: PathBuf,
}

/// A service did not start, or ended unexpectedly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("service {name} cannot be started")]
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
        // A resumed run appends; only the output of this process counts.
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
            tokio::time::sleep(POLL).await;
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

    /// Why it is not ready, as it reports; each reason once.
    pub(crate) async fn problem(&self) -> Option<String> {
        let answer = client().get(format!("{}/health/ready", self.url)).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => {
                let parts: HashMap<String, String> = answer.json().await.unwrap_or_default();
                let reasons: BTreeSet<String> = parts.into_values().collect();
                Some(reasons.into_iter().collect::<Vec<_>>().join("; "))
            }
            Err(_) => Some(NO_ANSWER.to_owned()),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The URL it listens on.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks the service to end and waits; kills it after the timeout.
    pub(crate) async fn stop(mut self) {
        self.child.signal(Signal::SIGTERM);
        if !matches!(self.child.wait(STOP).await, Ok(Some(_))) {
            tracing::warn!(service = self.name, "killing a service that did not end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frozen process: the kernel accepts the connection, as for a process that is stopped.
    #[tokio::test]
    async fn a_request_to_a_process_that_does_not_answer_times_out() {
        let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", frozen.local_addr().unwrap());
        let answer = tokio::time::timeout(10 * ANSWER, client().get(url).send()).await;
        assert!(answer.expect("the client has a timeout").unwrap_err().is_timeout());
    }
}
