//! A relay in a process of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct::Configuration;
use aqueduct_devstack::{Child, Conditions, tail};
use aqueduct_kafka::Cluster;
use aqueduct_relay::{Options, Route};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::Failure;
use crate::configuration::Addresses;

/// Time-out of a relay's graceful shutdown.
const STOP: Duration = Duration::from_secs(30);

pub(super) struct RelayProcess {
    child: Child,
    pub(super) started: Instant,
    log: PathBuf,
    _directory: TempDir,
}

impl RelayProcess {
    /// Starts a relay with the options' route, lanes and size of the cache of streams.
    pub(super) fn start(
        addresses: &Addresses,
        configuration: &Configuration,
        cluster: &Cluster,
        options: &Options,
    ) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let (file, log) = (directory.path().join("aqueduct.toml"), directory.path().join("relay.log"));
        std::fs::write(&file, file_of(&configuration.schemas.directory, cluster, options)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--config").arg(&file).arg("relay").envs(addresses.to_environment());
        let started = Instant::now();
        let child = Child::spawn(command, &Conditions::plain(), &log)?;
        Ok(Self { child, started, log, _directory: directory })
    }

    /// The error, with the end of the relay's log.
    pub(super) fn explain(&self, error: &Failure) -> Failure {
        format!("{error}; the end of the relay's log:\n{}", tail(&self.log)).into()
    }

    /// The most resident memory that the process has had, in MiB. `None` if the system has no `/proc` as Linux has it.
    pub(super) fn peak_memory(&self) -> Option<f64> {
        peak_of(&std::fs::read_to_string(format!("/proc/{}/status", self.child.pid())).ok()?)
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.end(Signal::SIGTERM).await
    }

    pub(super) async fn kill(self) -> Result<(), Failure> {
        self.end(Signal::SIGKILL).await
    }

    async fn end(mut self, by: Signal) -> Result<(), Failure> {
        self.child.signal(by);
        self.child.wait(STOP).await?;
        Ok(())
    }
}

/// `VmHWM` of `/proc/<pid>/status`, in MiB.
fn peak_of(status: &str) -> Option<f64> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// The configuration file. The addresses are in the environment.
fn file_of(schemas: &Path, cluster: &Cluster, options: &Options) -> io::Result<String> {
    let Cluster { prefix, source, .. } = cluster;
    let Options { routes, lanes, known_streams, .. } = options;
    // A list of Rust's debug format is one of TOML.
    let routes = routes.iter().map(|Route { name, topic, partitions, categories, .. }| {
        let categories: Vec<_> = categories.iter().collect();
        format!(
            "\n[[relay.routes]]\nname = \"{name}\"\ntopic = \"{topic}\"\npartitions = {partitions}\n\
             categories = {categories:?}\n"
        )
    });
    let routes: String = routes.collect();
    let schemas = std::path::absolute(schemas)?;
    Ok(format!(
        r#"
eventstore.source = "{source}"
kafka.prefix = "{prefix}"
schemas.directory = {schemas:?}
http.relay = "127.0.0.1:0"
relay.lanes = {lanes}
relay.known_streams = {known_streams}
{routes}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_given_in_kib() {
        assert_eq!(peak_of("Name:\taqueduct\nVmHWM:\t   67584 kB\nVmRSS:\t   1024 kB\n"), Some(66.0));
        assert_eq!(peak_of("Name:\taqueduct\n"), None);
    }
}
