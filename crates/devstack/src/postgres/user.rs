use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, User};

use crate::error::Missing;
use crate::error::StartError;
use crate::process::RunAs;

/// The user that Postgres runs as: it refuses root, so another user if this process is root, else `None`.
///
/// An existing cluster keeps its owner.
pub(crate) fn run_as(cluster: &Path) -> Result<Option<RunAs>, Missing> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    if let Ok(owner) = cluster.metadata()
        && owner.uid() != 0
    {
        let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
        let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        return Ok(Some(RunAs { uid, gid, name }));
    }
    let found = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = found.ok_or_else(|| Missing {
        what: "no user `postgres` and no user `nobody`, and Postgres refuses to run as root".to_owned(),
        install: "create one: `useradd --system postgres`",
    })?;
    Ok(Some(RunAs { uid: user.uid, gid: user.gid, name: user.name }))
}

/// Whether the user can enter `path` and all its parents, as far as they exist: missing directories will be created
/// accessible to everyone.
pub(crate) fn check_reach(user: &RunAs, path: &Path) -> Result<(), StartError> {
    for dir in path.ancestors() {
        let Ok(meta) = dir.metadata() else { continue };
        let bit = match () {
            () if meta.uid() == user.uid.as_raw() => 0o100,
            () if meta.gid() == user.gid.as_raw() => 0o010,
            () => 0o001,
        };
        if meta.mode() & bit == 0 {
            return Err(StartError::Closed { user: user.name.clone(), path: dir.to_owned() });
        }
    }
    Ok(())
}
