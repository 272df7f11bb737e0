//! The projection on a real Postgres and a real Kafka. Each test of a fault names the promise it attacks:
//! nothing is lost (1), nothing is doubled (2), order holds (3), a hole is noticed (4), no bad event stops the
//! rest (6), nothing is skipped silently (7).

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod bank;
mod batches;
mod faults;
mod inbox;
mod observed;
mod random;
mod reactors;
mod verdicts;
mod wire;
mod world;
