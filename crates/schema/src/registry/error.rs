//! Why the registry did not give what is needed.

use aqueduct_core::ErrorKind;

pub(crate) const UNKNOWN: &str = "not in the registry";

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The registry could not be asked, or does not have what is needed.
#[derive(Debug, thiserror::Error)]
#[error("schema registry, {operation} of {subject}: {problem}")]
pub struct RegistryError {
    /// `look-up`, `registration`, `set-up`.
    pub operation: &'static str,
    /// The subject or id, and the registry's URL.
    pub subject: String,
    /// What is wrong and, where it is known, what to do.
    pub problem: String,
    /// Retry where the registry is at fault, Stop where the configuration is, Park for an unknown id.
    pub kind: ErrorKind,
    /// The client's own error.
    #[source]
    pub source: Option<BoxError>,
}

impl RegistryError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.problem == UNKNOWN
    }
}
