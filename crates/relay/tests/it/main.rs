//! The relay on a real Kafka. Each test of a fault says which guarantee it attacks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a helper fails the test")]

mod exceptions_at_scale;
mod faults;
mod foreign_records;
mod half_committed;
mod halted_lanes;
mod hanging_transactions;
mod idle;
mod kafka_proxy;
mod lanes;
mod late_commit;
mod look_ups;
mod lost_records;
mod mapped_events;
mod parked;
mod prefixes;
mod records;
mod support;
mod traces;
