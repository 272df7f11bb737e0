//! The SQL files that create a consumer's tables.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files of a folder, in the order of their names, with their texts.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path| fs::read_to_string(&path).map(|text| (path, text))).collect()
}
