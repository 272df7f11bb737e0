//! What to do about an error.

/// What the caller of a failed operation should do. Every error type of the product answers `kind()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The fault lies in the surroundings and may pass: try again with backoff.
    Retry,
    /// The fault lies in this event or command and will not pass: park it (with its followers), or answer
    /// the caller with it.
    Park,
    /// The fault lies in the set-up (a missing schema, a refused login): stop and say so.
    Stop,
}
