use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use crate::error::{EndedError, StartError};
use crate::probe::Probe;
use crate::process::{Child, Conditions, tail};

/// A started part: a child process that can be stopped, killed and restarted on the same port and data, for tests of
/// faults. These operations are serialized: a second caller waits for the first.
#[derive(Debug)]
pub struct Server {
    part: &'static str,
    program: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    environment: Vec<(&'static str, String)>,
    conditions: Conditions,
    stop_by: Signal,
    probe: Probe,
    log: PathBuf,
    running: Mutex<Option<Child>>,
}

pub(crate) struct Definition {
    pub(crate) part: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<std::ffi::OsString>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) conditions: Conditions,
    /// The signal for a graceful shutdown.
    pub(crate) stop_by: Signal,
    pub(crate) probe: Probe,
    pub(crate) log: PathBuf,
}

const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

impl Server {
    pub(crate) fn new(definition: Definition) -> Self {
        let Definition { part, program, arguments, environment, conditions, stop_by, probe, log } =
            definition;
        Self {
            part,
            program,
            arguments,
            environment,
            conditions,
            stop_by,
            probe,
            log,
            running: Mutex::new(None),
        }
    }

    pub(crate) fn set_probe(&mut self, probe: Probe) {
        self.probe = probe;
    }

    /// Starts it on the same port and data as before and waits until it is ready. Does nothing if it runs.
    pub async fn start(&self) -> Result<(), StartError> {
        let mut running = self.running.lock().await;
        if let Some(child) = running.as_mut()
            && matches!(child.ended(), Ok(None))
        {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().cloned()).current_dir("/");
        let began = Instant::now();
        let mut child = Child::spawn(command, &self.conditions, &self.log)
            .map_err(StartError::io("run", &self.program))?;
        self.wait_until_ready(&mut child).await?;
        tracing::debug!(
            part = self.part,
            pid = child.pid(),
            milliseconds = began.elapsed().as_millis(),
            "ready"
        );
        *running = Some(child);
        Ok(())
    }

    /// Stops it gracefully. A part that does not end within a minute is killed. Does nothing if it does not run.
    pub async fn stop(&self) {
        let Some(mut child) = self.running.lock().await.take() else { return };
        child.signal(self.stop_by);
        if !matches!(child.wait(STOPPED_WITHIN).await, Ok(Some(_))) {
            tracing::warn!(
                part = self.part,
                seconds = STOPPED_WITHIN.as_secs(),
                "did not stop in order: killed"
            );
            child.kill_tree();
        }
    }

    /// Kills it and its descendants with SIGKILL, and waits until they are gone. Does nothing if it does not run.
    pub async fn kill(&self) {
        if let Some(mut child) = self.running.lock().await.take() {
            child.kill_tree();
        }
    }

    /// Whether its process runs.
    pub async fn is_running(&self) -> bool {
        self.running.lock().await.as_mut().is_some_and(|child| matches!(child.ended(), Ok(None)))
    }

    /// Fails if it has ended without having been stopped or killed.
    pub(crate) async fn check(&self) -> Result<(), EndedError> {
        let mut running = self.running.lock().await;
        let Some(Ok(Some(status))) = running.as_mut().map(Child::ended) else { return Ok(()) };
        let (status, log) = (status.to_string(), self.log.clone());
        Err(EndedError { part: self.part, status, tail: tail(&log), log })
    }

    /// The id of its process, if it runs.
    pub async fn pid(&self) -> Option<u32> {
        self.running.lock().await.as_ref().map(Child::pid)
    }

    /// The file of its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    async fn wait_until_ready(&self, child: &mut Child) -> Result<(), StartError> {
        let not_ready = |reason| StartError::NotReady {
            part: self.part,
            reason,
            log: self.log.clone(),
            tail: tail(&self.log),
        };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = child.ended().map_err(StartError::io("wait for", &self.program))? {
                return Err(not_ready(format!("ended instead of starting ({status})")));
            }
            if self.probe.answers().await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(not_ready(format!("did not become ready within {} s", READY_WITHIN.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
