//! Child processes that never outlive this one.
//!
//! The kernel signals a child when the *thread* that spawned it ends, so one thread, which lives as long as the
//! process, spawns them all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::{Gid, Pid, Uid};

/// How often a child is polled while something waits for it.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// Time-out of the end of a killed process: one that waits for a disk can take a while.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// The user a child runs as when this process is root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: Uid,
    /// Its only group.
    pub gid: Gid,
    /// Its name, for messages.
    pub name: String,
}

/// The common settings of a child.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// The user it runs as, if that is not the user of this process.
    pub user: Option<RunAs>,
    /// Sent to the child when this process dies, and when the child is dropped.
    pub abort: Signal,
    /// Open files that the child inherits under the same number.
    pub inherit: Vec<Arc<File>>,
}

impl Conditions {
    /// The same user, SIGKILL, no inherited files.
    pub fn plain() -> Self {
        Self { user: None, abort: Signal::SIGKILL, inherit: Vec::new() }
    }
}

/// A running child in a process group of its own, so that Ctrl-C at a terminal reaches only the parent, which ends
/// its children in order. Dropping it aborts and reaps it.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    abort: Signal,
}

struct Job {
    command: Command,
    reply: mpsc::Sender<io::Result<std::process::Child>>,
}

static SPAWNER: LazyLock<Option<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Job>();
    let run = move || {
        for mut job in jobs {
            // The receiver waits in `Child::spawn`; it cannot have gone.
            let _ = job.reply.send(job.command.spawn());
        }
    };
    thread::Builder::new().name("devstack-spawn".to_owned()).spawn(run).ok().map(|_| sender)
});

impl Child {
    /// Runs `command` with its output appended to the file `log`.
    pub fn spawn(mut command: Command, conditions: &Conditions, log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        prepare(&mut command, conditions);
        let (reply, answer) = mpsc::channel();
        let lost = || io::Error::other("the thread that spawns child processes is gone");
        let spawner = SPAWNER.as_ref().ok_or_else(lost)?;
        spawner.send(Job { command, reply }).map_err(|_| lost())?;
        let inner = answer.recv().map_err(|_| lost())??;
        Ok(Self { inner, abort: conditions.abort })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// The exit status of the child, or `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Waits for the end of the child at most this long.
    pub async fn wait(&mut self, at_most: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + at_most;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends a signal to the child. Does nothing after it has been reaped: its id may belong to another process.
    pub fn signal(&mut self, signal: Signal) {
        if matches!(self.ended(), Ok(None)) {
            let _ = signal::kill(raw_pid(self.inner.id()), signal);
        }
    }

    /// Kills the child and all its descendants, as a crash of the machine would, and waits until all are gone: a server
    /// does not restart while one of them holds its shared memory or its port.
    pub(crate) fn kill_tree(&mut self) {
        // Stopped, it neither starts another process nor notices that those below it die.
        self.signal(Signal::SIGSTOP);
        let deadline = Instant::now() + GONE_WITHIN;
        let mut below = BTreeSet::new();
        loop {
            // Postgres puts each backend into a session of its own, out of reach of a signal to the group.
            below.extend(descendants(self.inner.id()));
            below.retain(|pid| is_alive(*pid));
            if below.is_empty() || Instant::now() >= deadline {
                break;
            }
            for pid in &below {
                let _ = signal::kill(raw_pid(*pid), Signal::SIGKILL);
            }
            thread::sleep(POLL);
        }
        self.signal(Signal::SIGKILL);
        let _ = self.inner.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(self.abort);
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(self.ended(), Ok(None)) {
            if Instant::now() >= deadline {
                self.kill_tree();
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// Sets up what must happen between fork and exec.
fn prepare(command: &mut Command, conditions: &Conditions) {
    let parent = Pid::this();
    let abort = conditions.abort;
    let user = conditions.user.as_ref().map(|user| (user.uid, user.gid));
    let inherit = conditions.inherit.clone();
    let in_child = move || {
        if let Some((uid, gid)) = user {
            nix::unistd::setgroups(&[gid])?;
            nix::unistd::setgid(gid)?;
            nix::unistd::setuid(uid)?;
        }
        // After the change of user, which clears it.
        prctl::set_pdeathsig(abort)?;
        // The parent may have died before the line above: nobody would tell the child.
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
        }
        for file in &inherit {
            fcntl(file.as_ref(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, takes no lock and allocates nothing.
    unsafe { command.pre_exec(in_child) };
}

/// All processes below `root`, nearest first, from the parents that `/proc` shows.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in parentheses may hold anything; state and parent follow its last one.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Whether a process can still hold resources: a zombie cannot.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let state =
        stat.as_deref().ok().and_then(|stat| stat.rsplit_once(')')).map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

fn raw_pid(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

/// The last lines of a log, for an error message. Empty if the log cannot be read.
pub fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kill_tree_kills_all_descendants() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let mut child = Child::spawn(command, &Conditions::plain(), &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let grandchild: u32 = loop {
            if let Ok(pid) = std::fs::read_to_string(&log).unwrap().trim().parse() {
                break pid;
            }
            assert!(Instant::now() < deadline, "the shell never started its child");
            thread::yield_now();
        };
        assert_eq!(descendants(child.pid()), vec![grandchild]);
        child.kill_tree();
        assert!(child.ended().unwrap().is_some());
        assert!(!is_alive(grandchild), "the grandchild outlived the kill");
    }
}
