//! Errors that are reported to the user.

/// Any error that is reported to the user.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
