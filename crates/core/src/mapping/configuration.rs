//! What a configuration is refused with.

/// A mapping or selection that cannot work. `key` is relative to the section it was read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigurationError {
    /// The key, `types."V{version}.{event}"`.
    pub key: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl ConfigurationError {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}
