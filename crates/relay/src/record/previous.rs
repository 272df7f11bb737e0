//! The record before a record.

use aqueduct_core::Revision;

/// The stream's record before an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Previous {
    /// There is none: this is the stream's first.
    None,
    Revision(Revision),
    /// It can't be known: the stream was truncated or deleted, or the search would read too many events.
    Hidden,
}
