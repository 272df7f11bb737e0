//! The repository and the mapping, from outside the crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod histories;
mod repository;
mod support;
