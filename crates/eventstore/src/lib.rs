//! Core's event store port on the `eventstore` crate, with the cures its client needs in production.

pub mod bench;
mod connection;
mod error;
mod event;
pub mod metrics;
mod nodelay;
mod options;
mod peers;
mod pool;
mod store;
mod subscription;
mod unending;

pub use options::{Options, OptionsError};
pub use store::EventStoreDb;
