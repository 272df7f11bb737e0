//! The cluster that all clusters are copied from: `initdb` runs once per version and cache.

use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{OWNER, by_descriptor};
use crate::cache::Cache;
use crate::error::StartError;
use crate::maven;
use crate::process::{Conditions, RunAs};

/// Copies the template to `cluster` and returns the password of its superuser. If `durable`, the copy is synced to
/// disk.
pub(super) async fn copy(
    bin: &Path,
    version: &str,
    user: Option<&RunAs>,
    cache: &Cache,
    cluster: &Path,
    durable: bool,
) -> Result<String, StartError> {
    let template =
        cache.entry(&format!("postgres-{version}-template"), async |dir| make(bin, user, dir).await).await?;
    let password = template.join("password");
    let password = std::fs::read_to_string(&password).map_err(StartError::io("read", &password))?;
    if cluster.exists() {
        std::fs::remove_dir_all(cluster).map_err(StartError::io("remove", cluster))?;
    }
    copy_dir(&template.join("cluster"), cluster, user)?;
    if durable {
        // One call for a thousand files; it waits for what else is to be written there, too.
        let synced = File::open(cluster).and_then(|dir| Ok(nix::unistd::syncfs(dir.as_fd())?));
        synced.map_err(StartError::io("write to disk", cluster))?;
    }
    Ok(password)
}

async fn make(bin: &Path, user: Option<&RunAs>, dir: &Path) -> Result<(), StartError> {
    tracing::info!("initializing a postgres cluster (once)");
    let cluster = dir.join("cluster");
    let password = dir.join("password");
    create_private(&cluster)?;
    give(&cluster, user)?;
    store_password(&password, uuid::Uuid::new_v4().simple().to_string().as_str(), false)?;
    give(&password, user)?;
    let open = |path: &Path| File::open(path).map(Arc::new).map_err(StartError::io("open", path));
    let (open_cluster, open_password) = (open(&cluster)?, open(&password)?);
    let mut command = Command::new(bin.join("initdb"));
    command.current_dir("/").args(["--username", OWNER, "--encoding", "UTF8", "--locale", "C"]);
    command.args(["--auth", "scram-sha-256", "--no-sync"]);
    command.args(["--pgdata", &by_descriptor(&open_cluster), "--pwfile", &by_descriptor(&open_password)]);
    let conditions = Conditions {
        user: user.cloned(),
        abort: Signal::SIGKILL,
        inherit: vec![open_cluster, open_password],
    };
    let log = dir.join("initdb.log");
    maven::run(
        command,
        &conditions,
        "initialising a postgres cluster (initdb)",
        &log,
        Duration::from_secs(300),
    )
    .await
}

pub(super) fn store_password(path: &Path, password: &str, durable: bool) -> Result<(), StartError> {
    let write = || {
        let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(password.as_bytes())?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    write().map_err(StartError::io("write", path))
}

fn copy_dir(from: &Path, to: &Path, user: Option<&RunAs>) -> Result<(), StartError> {
    create_private(to)?;
    for entry in std::fs::read_dir(from).map_err(StartError::io("read", from))? {
        let entry = entry.map_err(StartError::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(StartError::io("look at", &source))?.is_dir() {
            copy_dir(&source, &target, user)?;
        } else {
            std::fs::copy(&source, &target).map_err(StartError::io("copy", &source))?;
            give(&target, user)?;
        }
    }
    give(to, user)
}

/// Creates a directory with the mode that Postgres requires, whatever the umask is.
fn create_private(dir: &Path) -> Result<(), StartError> {
    let create = || {
        DirBuilder::new().mode(0o700).create(dir)?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))
    };
    create().map_err(StartError::io("create", dir))
}

fn give(path: &Path, user: Option<&RunAs>) -> Result<(), StartError> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .map_err(StartError::io("change the owner of", path))
}
