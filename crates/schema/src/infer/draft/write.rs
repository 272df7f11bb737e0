//! Writing drafts.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::files::{DraftFile, FileState};

/// Writes the new files below the folder of the schemas and returns their paths. A file that exists is never
/// overwritten: one that appeared after the draft was made is an error of the kind
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists). Files that were written before an error stay.
pub fn write_new(folder: &Path, files: &[DraftFile]) -> io::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for file in files.iter().filter(|file| file.state == FileState::New) {
        let path = folder.join(&file.path);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(named)?;
        }
        let mut created = OpenOptions::new().write(true).create_new(true).open(&path).map_err(named)?;
        created.write_all(file.text.as_bytes()).map_err(named)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let draft =
            |event_type: &str, state: FileState| DraftFile::new("a", event_type, 1, "new".to_owned(), state);
        let files = [draft("A", FileState::New), draft("B", FileState::Same)];
        assert_eq!(write_new(folder.path(), &files).unwrap(), [folder.path().join("a/A/v1.avsc")]);
        assert!(!folder.path().join("a/B").exists());
        fs::write(folder.path().join("a/A/v1.avsc"), "old").unwrap();
        let error = write_new(folder.path(), &files).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(folder.path().join("a/A/v1.avsc")).unwrap(), "old");
    }
}
