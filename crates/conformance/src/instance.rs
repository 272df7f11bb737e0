//! A running instance of the consumer.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use aqueduct_devstack::{Child, Conditions};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A process group, so that a program below a script or a package manager is reached too.
#[derive(Debug)]
pub(crate) struct Instance {
    child: Child,
}

impl Instance {
    /// Starts the command. Its output is appended to the log.
    pub(crate) fn start(
        program: &[OsString],
        environment: &[(String, OsString)],
        log: &Path,
    ) -> io::Result<Self> {
        let (name, arguments) =
            program.split_first().ok_or_else(|| io::Error::other("no command was given"))?;
        let mut command = Command::new(name);
        // What is set while a consumer is developed must not reach it here.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("AQUEDUCT_") {
                command.env_remove(variable);
            }
        }
        command.args(arguments).envs(environment.iter().map(|(key, value)| (key, value)));
        Ok(Self { child: Child::spawn(command, &Conditions::plain(), log)? })
    }

    /// Signals all its processes.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails where all of them have ended.
        let _ = killpg(Pid::from_raw(self.child.pid().cast_signed()), signal);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.ended()
    }

    /// Waits for its end at most this long.
    pub(crate) async fn wait(&mut self, at_most: Duration) -> io::Result<Option<ExitStatus>> {
        self.child.wait(at_most).await
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
