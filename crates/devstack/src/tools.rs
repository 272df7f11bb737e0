//! The programs that must be installed, looked up before anything is started.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Missing;

/// The first program of that name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A Java that runs Apache Kafka 4: `JAVA_HOME`'s, else the one on the `PATH`.
pub(crate) fn java() -> Result<PathBuf, Missing> {
    const OLDEST: u32 = 17;
    const INSTALL: &str = "install a JDK: `apt-get install openjdk-17-jdk-headless` on Debian or Ubuntu, else Java 17 or later from your distribution";
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let (java, origin) = match home {
        Some(home) => {
            (Some(PathBuf::from(home).join("bin/java")).filter(|java| is_executable(java)), "JAVA_HOME")
        }
        None => (on_path("java"), "the PATH"),
    };
    let missing = |what| Missing { what, install: INSTALL };
    let java = java.ok_or_else(|| missing(format!("no java in {origin}, which Apache Kafka needs")))?;
    let version = output(Command::new(&java).arg("-version")).and_then(|text| java_version(&text));
    match version {
        Some(version) if version >= OLDEST => Ok(java),
        Some(version) => Err(missing(format!(
            "{} (from {origin}) is Java {version}, Apache Kafka needs {OLDEST} or later",
            java.display()
        ))),
        None => Err(missing(format!("{} (from {origin}) does not tell its version", java.display()))),
    }
}

/// Maven, which fetches what is not in the cache.
pub(crate) fn maven(needed_for: &str) -> Result<PathBuf, Missing> {
    const INSTALL: &str = "install Maven: `apt-get install maven` on Debian or Ubuntu, else from your distribution or https://maven.apache.org";
    on_path("mvn").ok_or_else(|| Missing {
        what: format!("no mvn on the PATH, which fetches {needed_for}"),
        install: INSTALL,
    })
}

/// The output of the command on both streams, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The major version in `openjdk version "17.0.15" …` (`"1.8.0_392"` is 8).
fn java_version(text: &str) -> Option<u32> {
    let version = text.split_once(" version \"")?.1.split_once('"')?.0;
    let mut numbers = version.split(['.', '_', '-', '+']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_java_versions_are_parsed() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_version("Picked up X\nopenjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(java_version("java version \"1.8.0_392\""), Some(8));
        assert_eq!(java_version("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(java_version("command not found"), None);
    }
}
