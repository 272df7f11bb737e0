//! CPU time of this process and of a server that consists of several.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};

/// User and system time of all threads of this process.
pub(super) fn of_process() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let duration = |time: TimeVal| {
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec()).ok()?);
        Some(seconds + Duration::from_micros(u64::try_from(time.tv_usec()).ok()?))
    };
    Some(duration(usage.user_time())? + duration(usage.system_time())?)
}

/// User and system time of the process `pid`, of its children, and of those that have ended. Postgres has a child for
/// each connection and each background task. `None` if the system has no `/proc` as Linux has it.
pub(super) fn of_server(pid: u32) -> Option<Duration> {
    let server = Stat::of(&pid.to_string())?;
    let mut ticks = server.own + server.ended_children;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        // A process may end while its directory is read; the server's own counters have its time then.
        if let Some(stat) = entry.file_name().to_str().and_then(Stat::of)
            && stat.parent == pid
        {
            ticks += stat.own;
        }
    }
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// What `/proc/<pid>/stat` says of a process, times in clock ticks.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn of(pid: &str) -> Option<Self> {
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the command's name in parentheses and may contain spaces and parentheses itself.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // proc_pid_stat(5) counts from 1; the first one here is its third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            own: field(14)? + field(15)?,
            ended_children: field(16)? + field(17)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_contain_parentheses() {
        let stat = "4321 (postgres: a) (b) S 4300 4300 4300 0 -1 4194560 900 80 0 0 120 30 7 3 20 0 1 0 99";
        assert_eq!(Stat::parse(stat), Some(Stat { parent: 4300, own: 150, ended_children: 10 }));
        assert_eq!(Stat::parse("4321 (postgres"), None);
    }

    #[test]
    fn work_takes_time() {
        let before = of_process().unwrap();
        let mut sum = 0_u64;
        while of_process().unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(of_process().unwrap() > before);
    }
}
