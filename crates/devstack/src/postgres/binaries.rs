use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lzma_rust2::XzReader;

use crate::cache::Cache;
use crate::error::Missing;
use crate::error::StartError;
use crate::maven;
use crate::options::PostgresFrom;
use crate::tools;

const OLDEST: u32 = 15;
const DEBIAN: &str = "/usr/lib/postgresql";
/// The version of the binaries from Maven.
const VERSION: &str = "16.9.0";

/// The source of `postgres` and `initdb`.
#[derive(Debug, Clone)]
pub(crate) enum Binaries {
    Installed { dir: PathBuf, version: String },
    Cached,
    Maven { mvn: PathBuf, architecture: &'static str },
}

impl Binaries {
    pub(crate) fn find(from: PostgresFrom, cache: &Cache) -> Result<Self, Missing> {
        let forced = from == PostgresFrom::Maven
            || std::env::var_os("AQUEDUCT_POSTGRES_FROM").is_some_and(|v| v == "maven");
        let installed = if forced { None } else { installed() };
        if let Some(installed) = installed {
            return Ok(installed);
        }
        if cache.find(&entry()).is_some() {
            return Ok(Self::Cached);
        }
        let missing = |how: &str| Missing {
            what: format!("no PostgreSQL {OLDEST} or later on the PATH or below {DEBIAN}, and {how}"),
            install: "install it: `apt-get install postgresql` on Debian or Ubuntu, else from your distribution",
        };
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64v8",
            other => return Err(missing(&format!("none to be fetched for {other}"))),
        };
        let mvn = tools::on_path("mvn").ok_or_else(|| missing("no mvn on the PATH, which could fetch it"))?;
        Ok(Self::Maven { mvn, architecture })
    }

    pub(crate) fn version(&self) -> &str {
        match self {
            Self::Installed { version, .. } => version,
            Self::Cached | Self::Maven { .. } => VERSION,
        }
    }

    /// A directory that the user who runs the programs must be able to enter.
    pub(crate) fn place<'a>(&'a self, cache: &'a Cache) -> &'a Path {
        match self {
            Self::Installed { dir, .. } => dir,
            Self::Cached | Self::Maven { .. } => cache.root(),
        }
    }

    /// The directory with the programs.
    pub(crate) async fn fetch(&self, cache: &Cache) -> Result<PathBuf, StartError> {
        if let Self::Installed { dir, .. } = self {
            return Ok(dir.clone());
        }
        let make = async |dir: &Path| match self {
            Self::Maven { mvn, architecture } => {
                let name = format!(
                    "io.zonky.test.postgres:embedded-postgres-binaries-linux-{architecture}:{VERSION}"
                );
                maven::unpack(mvn, &name, dir).await?;
                unpack(dir.to_owned()).await
            }
            // The preflight saw the entry; somebody has removed it since.
            _ => Err(StartError::io("find", dir)(std::io::ErrorKind::NotFound.into())),
        };
        Ok(cache.entry(&entry(), make).await?.join("bin"))
    }
}

fn entry() -> String {
    format!("postgres-{VERSION}-{}", std::env::consts::ARCH)
}

/// The artifact holds one archive of a kind that needs `xz`, which may not be installed.
async fn unpack(dir: PathBuf) -> Result<(), StartError> {
    let archive = std::fs::read_dir(&dir)
        .map_err(StartError::io("read", &dir))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "txz"))
        .ok_or_else(|| {
            StartError::io("find an archive (*.txz) in", &dir)(std::io::ErrorKind::NotFound.into())
        })?;
    let work = move || {
        let unpack = || {
            let reader = XzReader::new(std::io::BufReader::new(File::open(&archive)?), false);
            tar::Archive::new(reader).unpack(&dir)?;
            let_everybody_enter(&dir)?;
            std::fs::remove_file(&archive)
        };
        unpack().map_err(StartError::io("unpack", &archive))
    };
    let failed =
        |error: tokio::task::JoinError| StartError::io("unpack", Path::new("postgres"))(error.into());
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// Directories that the archive does not list have the mode of our umask.
fn let_everybody_enter(dir: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let_everybody_enter(&entry.path())?;
        }
    }
    Ok(())
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
    fn versions_are_parsed() {
        let version = version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").unwrap();
        assert_eq!((version.as_str(), major(&version)), ("15.18", Some(15)));
        assert_eq!(version_in("postgres (PostgreSQL) 18beta1\n").as_deref().and_then(major), Some(18));
        assert_eq!(version_in("mysqld 8"), None);
    }
}
