//! The crate's tests from outside, in one binary.

mod bad_schemas;
mod folder;
mod generated;
mod registry;
mod resolution;
mod shop_events;
