//! An event type in `projection.toml`.

use std::path::PathBuf;

use serde::Deserialize;

/// Which version an event type's files are written for, and what they are called.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "write a version, a list of files, or { version = …, files = […] }")]
pub(crate) enum TypeEntry {
    /// The file is called like the type.
    Version(u32),
    Files(Vec<PathBuf>),
    Both(VersionAndFiles),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionAndFiles {
    version: u32,
    files: Vec<PathBuf>,
}

impl TypeEntry {
    /// The version, if one is named, and the files in the order in which they run.
    pub(crate) fn parts(self, event_type: &str) -> (Option<u32>, Vec<PathBuf>) {
        match self {
            Self::Version(version) => (Some(version), vec![format!("{event_type}.sql").into()]),
            Self::Files(files) => (None, files),
            Self::Both(VersionAndFiles { version, files }) => (Some(version), files),
        }
    }
}
