//! Core's event store port on the `eventstore` crate, with the cures its client needs in production.
