//! What the schemas were at a revision of git.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Output;

use aqueduct_evolution::Lock;
use tokio::process::Command;

use crate::failure::Failure;

/// The lock at a revision; empty if it had none.
pub(super) async fn lock_at(folder: &Path, revision: &str) -> Result<Lock, Failure> {
    let commit = format!("{revision}^{{commit}}");
    let found = git(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).await?;
    if !found.status.success() {
        let reason = git(folder, &["rev-parse", "--git-dir"]).await?;
        if !reason.status.success() {
            return Err(
                format!("{} is not in a git repository: --against needs one", folder.display()).into()
            );
        }
        return Err(format!(
            "git has no revision {revision}: a shallow clone may lack it, fetch it with `git fetch origin <branch>`"
        )
        .into());
    }
    // Relative to the folder, wherever the repository begins.
    let file = format!("{revision}:./{}", Lock::FILE);
    let shown = git(folder, &["show", "--end-of-options", &file]).await?;
    let path = format!("{} at {revision}", folder.join(Lock::FILE).display());
    if shown.status.success() {
        return Ok(Lock::parse(&String::from_utf8_lossy(&shown.stdout), path.as_ref())?);
    }
    let listed = git(folder, &["ls-tree", "--name-only", "--end-of-options", revision, Lock::FILE]).await?;
    if listed.status.success() && listed.stdout.is_empty() {
        return Ok(Lock::default());
    }
    Err(format!("{path}: {}", String::from_utf8_lossy(&shown.stderr).trim()).into())
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<Output, Failure> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).kill_on_drop(true);
    command.output().await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "git is not installed: --against needs it".into(),
        _ => format!("git cannot be run: {error}").into(),
    })
}
