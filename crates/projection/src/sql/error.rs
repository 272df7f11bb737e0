//! Errors in the files of a projection.

use std::path::PathBuf;

/// A projection's directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// A file could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A directory of projections contains none.
    #[error("{} has no projection: each is a directory with projection.toml", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// `projection.toml` has a mistake.
    #[error("{}: {problem}", path.display())]
    Definition {
        /// The file.
        path: PathBuf,
        /// What is wrong, and with which key.
        problem: String,
    },
    /// An SQL file has a mistake.
    #[error("{}, line {line}: {problem}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
}
