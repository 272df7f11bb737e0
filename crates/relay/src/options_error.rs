//! Errors of the configuration.

use aqueduct_kafka::ReservedProperty;

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("relay configuration: {key}: {problem}")]
pub struct OptionsError {
    /// The key, below the relay's section; with its section where it is in another one.
    pub key: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl OptionsError {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

impl From<ReservedProperty> for OptionsError {
    fn from(error: ReservedProperty) -> Self {
        Self::new(
            format!("kafka.properties.{}", error.property),
            "set by the relay: remove it, and use its options",
        )
    }
}
