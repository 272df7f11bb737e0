//! The relay on a real Kafka. Each test of a fault says which promise it attacks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a helper fails the test")]

mod faults;
mod foreign;
mod idle;
mod left_open;
mod many;
mod others;
mod parked;
mod prefixes;
mod records;
mod support;
mod traces;
