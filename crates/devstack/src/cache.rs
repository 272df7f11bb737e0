use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;

use crate::error::StartError;

/// The cache of a user: directories that appear complete or not at all.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(crate) fn locate(given: Option<&Path>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let of_user = || {
            let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
            base.unwrap_or_else(std::env::temp_dir).join("aqueduct")
        };
        let root = match given {
            Some(path) => path.to_owned(),
            None => variable("AQUEDUCT_CACHE").unwrap_or_else(|| {
                // Root's home is closed to the user that Postgres then runs as.
                if Uid::effective().is_root() { PathBuf::from("/var/cache/aqueduct") } else { of_user() }
            }),
        };
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The entry, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join(name);
        path.is_dir().then_some(path)
    }

    /// The entry, created by `make` in an empty directory if it does not exist. Of several processes one creates it and
    /// the others wait; a killed one leaves no entry.
    pub(crate) async fn entry(
        &self,
        name: &str,
        make: impl AsyncFnOnce(&Path) -> Result<(), StartError>,
    ) -> Result<PathBuf, StartError> {
        if let Some(path) = self.find(name) {
            return Ok(path);
        }
        std::fs::create_dir_all(&self.root).map_err(StartError::io("create", &self.root))?;
        open_to_all(&self.root)?;
        let _lock = self.lock(name).await?;
        if let Some(path) = self.find(name) {
            return Ok(path);
        }
        let unfinished = self.root.join(format!(".{name}.new"));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(StartError::io("remove", &unfinished))?;
        }
        std::fs::create_dir(&unfinished).map_err(StartError::io("create", &unfinished))?;
        open_to_all(&unfinished)?;
        make(&unfinished).await?;
        let path = self.root.join(name);
        std::fs::rename(&unfinished, &path).map_err(StartError::io("rename", &unfinished))?;
        Ok(path)
    }

    async fn lock(&self, name: &str) -> Result<File, StartError> {
        let path = self.root.join(format!(".{name}.lock"));
        let file =
            File::options().create(true).append(true).open(&path).map_err(StartError::io("open", &path))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(StartError::io("lock", &path)(source));
                }
            }
            if !told {
                tracing::info!(entry = name, "waiting for another process that creates this entry");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Independent of the umask: when this process is root, another user reads the cache.
fn open_to_all(path: &Path) -> Result<(), StartError> {
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
        .map_err(StartError::io("open to all users", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_entry_is_created_once_and_a_failure_leaves_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::locate(Some(&dir.path().join("cache")));
        let failure = cache
            .entry("thing", async |path| Err(StartError::io("make", path)(std::io::Error::other("no"))))
            .await;
        assert!(failure.is_err());
        assert_eq!(cache.find("thing"), None);

        let make = async |path: &Path| {
            let file = path.join("content");
            assert!(!file.exists());
            std::fs::write(&file, "x").map_err(StartError::io("write", &file))
        };
        let (one, two) = tokio::join!(cache.entry("thing", make), cache.entry("thing", make));
        assert_eq!(one.unwrap(), two.unwrap());
        assert!(cache.find("thing").unwrap().join("content").exists());
    }
}
