//! The projection on a real Postgres and a real Kafka. Each test of a fault names the promise it attacks:
//! nothing is lost (1), nothing is doubled (2), order holds (3), a hole is noticed (4), no bad event stops the
//! rest (6), nothing is skipped silently (7).

mod bank;
mod batches;
mod faults;
mod inbox;
mod random;
mod reactors;
mod world;
