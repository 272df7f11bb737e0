//! The crate's tests from outside, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod bad_schemas;
mod counting;
#[expect(unreachable_pub, reason = "generated for crates that export it")]
mod every_type;
mod examples;
mod explosions;
mod field_cases;
mod found_json;
mod generated;
mod histories;
mod registry;
mod resolution;
mod rules;
mod sampled;
mod shop_events;
mod support;
