//! The shop's events in their latest versions, as the Avro schemas in `schemas/` define them.

mod generated;

pub use generated::*;
