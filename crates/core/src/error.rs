//! What to do about an error.

/// What the caller of a failed operation should do. Every error type of the product has a method `kind()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A transient error of the environment: retry with backoff.
    Retry,
    /// A permanent error of this event or command: park it with its followers, or return the error to the caller.
    Park,
    /// An error of the configuration, such as a missing schema or a refused login: stop and report it.
    Stop,
}
