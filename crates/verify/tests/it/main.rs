//! The comparison of made-up systems of any kind.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a helper fails the test")]

mod differential;
mod events_of_others;
mod exceptions;
mod inboxes;
mod mappings;
mod planted_faults;
mod support;
