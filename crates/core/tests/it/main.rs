//! The repository, from outside the crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod repository;
mod support;
