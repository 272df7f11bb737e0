//! What a check finds in changed schemas, and what a release writes.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod checks;
mod history;
mod proofs;
mod releases;
mod support;
