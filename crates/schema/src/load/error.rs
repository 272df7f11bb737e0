//! Why schema files cannot be used.

use std::path::{Path, PathBuf};

/// Why the schemas cannot be used. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LoadError {
    /// File or folder that the problem is in.
    pub path: PathBuf,
    /// What is wrong and where in the file: a schema that does not parse, a gap in the versions, an event
    /// type that two contexts have, a union that cannot be told apart, a type that is not supported, a field
    /// that older events lack, a bad upcast rule.
    pub problem: String,
    /// The error underneath, where there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LoadError {
    pub(super) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source: None }
    }

    pub(super) fn caused(
        path: &Path,
        problem: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source: Some(Box::new(source)) }
    }

    /// Always [`Stop`](aqueduct_core::ErrorKind::Stop): the files must be corrected.
    pub fn kind(&self) -> aqueduct_core::ErrorKind {
        aqueduct_core::ErrorKind::Stop
    }
}
