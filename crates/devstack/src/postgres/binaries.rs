use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StartError;
use crate::cache::Cache;
use crate::error::Missing;
use crate::options::PostgresFrom;
use crate::tools;

const OLDEST: u32 = 15;
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where `postgres` and `initdb` are, or will be.
#[derive(Debug, Clone)]
pub(crate) enum Binaries {
    Installed { dir: PathBuf, version: String },
}

impl Binaries {
    pub(crate) fn find(_from: PostgresFrom, _cache: &Cache) -> Result<Self, Missing> {
        installed().ok_or_else(|| Missing {
            what: format!("no PostgreSQL {OLDEST} or later, on the PATH or below {DEBIAN}"),
            install: "install it: `apt-get install postgresql` on Debian or Ubuntu, else from your distribution",
        })
    }

    pub(crate) fn version(&self) -> String {
        match self {
            Self::Installed { version, .. } => version.clone(),
        }
    }

    /// The directory with the programs.
    pub(crate) async fn fetch(&self, _cache: &Cache) -> Result<PathBuf, StartError> {
        match self {
            Self::Installed { dir, .. } => Ok(dir.clone()),
        }
    }
}

fn installed() -> Option<Binaries> {
    let on_path = tools::on_path("postgres").and_then(|postgres| postgres.canonicalize().ok());
    let on_path = on_path.and_then(|postgres| postgres.parent().map(Path::to_owned));
    let debian =
        std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let found = on_path.into_iter().chain(debian).filter_map(|dir| {
        let programs = ["initdb", "postgres"].map(|name| dir.join(name));
        if !programs.iter().all(|program| tools::is_executable(program)) {
            return None;
        }
        let version = tools::output(Command::new(&programs[1]).arg("--version"))?;
        let version = version_in(&version)?;
        Some((major(&version)?, version, dir))
    });
    // The first of equals, so that the PATH decides between two of one version.
    let newest = found.filter(|(major, ..)| *major >= OLDEST).reduce(|a, b| if b.0 > a.0 { b } else { a });
    newest.map(|(_, version, dir)| Binaries::Installed { dir, version })
}

/// `15.18` in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version_in(text: &str) -> Option<String> {
    Some(text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?.to_owned())
}

/// `18beta1` is 18.
fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let version = version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").unwrap();
        assert_eq!((version.as_str(), major(&version)), ("15.18", Some(15)));
        assert_eq!(version_in("postgres (PostgreSQL) 18beta1\n").as_deref().and_then(major), Some(18));
        assert_eq!(version_in("mysqld 8"), None);
    }
}
