use std::fs::{DirBuilder, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::{Pid, Uid};

use crate::error::StartError;
use crate::options::Data;

/// The locked directory of the parts.
///
/// Child processes inherit the open lock file, so the lock is free only when the last of them has gone.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: Arc<File>,
    removed_at_end: bool,
}

const LOCK: &str = "lock";

impl DataDir {
    pub(crate) async fn open(data: &Data) -> Result<Self, StartError> {
        match data {
            Data::Temporary => {
                Self::temporary(&std::env::temp_dir().join(format!("aqueduct-{}", Uid::effective())))
            }
            Data::Kept(path) => Self::kept(path).await,
        }
    }

    fn temporary(base: &Path) -> Result<Self, StartError> {
        DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(StartError::io("create", base))?;
        let owner = base.metadata().map_err(StartError::io("look at", base))?.uid();
        if owner != Uid::effective().as_raw() {
            return Err(StartError::io("use, because another user owns it,", base)(Errno::EACCES.into()));
        }
        // Held while a directory exists without its own lock being taken.
        let all = open_lock(base)?;
        all.lock().map_err(StartError::io("lock", base))?;
        let abandoned = abandoned(base);
        let path = base.join(format!("run-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).map_err(StartError::io("create", &path))?;
        let lock = open_lock(&path)?;
        lock.try_lock().map_err(|error| StartError::io("lock", &path)(error.into()))?;
        drop(all);
        for (path, _lock) in abandoned {
            remove(&path);
        }
        Ok(Self { path, lock: Arc::new(lock), removed_at_end: true })
    }

    async fn kept(path: &Path) -> Result<Self, StartError> {
        std::fs::create_dir_all(path).map_err(StartError::io("create", path))?;
        let path = path.canonicalize().map_err(StartError::io("find", path))?;
        let mut lock = open_lock(&path)?;
        // After a SIGKILL of the process before, its children may need a moment to end.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(StartError::io("lock", &path)(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = read_holder(&mut lock);
            if is_alive(&holder) || Instant::now() >= deadline {
                return Err(StartError::DataInUse { path, holder });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(StartError::io("write the lock in", &path))?;
        Ok(Self { path, lock: Arc::new(lock), removed_at_end: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_kept(&self) -> bool {
        !self.removed_at_end
    }

    pub(crate) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// Leaves a temporary directory, with its logs, to be removed by the next start.
    pub(crate) fn leave(&mut self) {
        self.removed_at_end = false;
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.removed_at_end {
            remove(&self.path);
        }
    }
}

fn open_lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join(LOCK);
    File::options()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(StartError::io("open", &path))
}

/// Directories of killed processes, each with its lock, which this process now holds.
fn abandoned(base: &Path) -> Vec<(PathBuf, File)> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let held =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).filter_map(|entry| {
            let lock = open_lock(&entry.path()).ok()?;
            lock.try_lock().ok()?;
            Some((entry.path(), lock))
        });
    held.collect()
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "could not remove temporary data");
    }
}

fn read_holder(lock: &mut File) -> String {
    let mut holder = String::new();
    let read = lock.rewind().and_then(|()| lock.read_to_string(&mut holder));
    if read.is_err() || holder.is_empty() { "unknown".to_owned() } else { holder }
}

fn is_alive(holder: &str) -> bool {
    let Ok(pid) = holder.parse() else { return false };
    !matches!(signal::kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn kept_data_is_refused_while_in_use_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::Kept(dir.path().join("data"));
        let first = DataDir::open(&data).await.unwrap();
        let refused = DataDir::open(&data).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(first);
        DataDir::open(&data).await.unwrap();
    }

    #[test]
    fn the_data_of_a_killed_process_is_removed_by_the_next() {
        let base = tempfile::tempdir().unwrap();
        let mut killed = DataDir::temporary(base.path()).unwrap();
        killed.leave();
        let path = killed.path().to_owned();
        drop(killed);
        assert!(path.exists());
        let next = DataDir::temporary(base.path()).unwrap();
        assert!(!path.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
