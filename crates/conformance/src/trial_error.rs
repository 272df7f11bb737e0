//! How a trial ends early.

use crate::error::Error;
use crate::report::Failure;

/// Who is at fault.
#[derive(Debug)]
pub(crate) enum TrialError {
    /// The kit or a server.
    Kit(Error),
    /// The consumer.
    Consumer(Failure),
}

impl From<Error> for TrialError {
    fn from(error: Error) -> Self {
        Self::Kit(error)
    }
}
