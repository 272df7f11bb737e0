//! The crate's tests from outside, in one binary.

mod generated;
mod shop_events;
