//! What came of an example.

use std::path::PathBuf;

use crate::model::error::TableError;

/// An example that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleReport {
    /// Its file.
    pub path: PathBuf,
    /// How the rows differ, or why there are none. Nothing if they are as expected.
    pub problems: Vec<String>,
}

/// The examples of a projection could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamplesError {
    /// A file or directory could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The projection cannot run.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The statements that come before the examples failed.
    #[error("{} failed", path.display())]
    SetUp {
        /// The file.
        path: PathBuf,
        /// Postgres's error.
        source: sqlx::Error,
    },
    /// Postgres failed.
    #[error("postgres failed")]
    Postgres(#[from] sqlx::Error),
}
