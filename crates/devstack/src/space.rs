//! The free space of a file system.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::error::NoSpaceError;

/// Fails if less than `needed` bytes are free for an ordinary user. Where that cannot be told it is not an error.
pub(crate) fn require(path: &Path, needed: u64) -> Result<(), NoSpaceError> {
    let Ok(found) = statvfs(path) else { return Ok(()) };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    if free < needed {
        return Err(NoSpaceError { path: path.to_owned(), free, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_reported_with_the_amounts() {
        let dir = tempfile::tempdir().unwrap();
        require(dir.path(), 0).unwrap();
        let error = require(dir.path(), u64::MAX).unwrap_err();
        assert_eq!(error.needed, u64::MAX);
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }
}
