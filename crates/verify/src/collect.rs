//! Reading what is compared: the only modules that do I/O.

mod kafka;
mod kafka_topics;
mod postgres;
mod registry;
mod sources;
mod store;

pub use kafka::KafkaError;
pub(crate) use kafka_topics::Kafka;
pub(crate) use postgres::Database;
pub use postgres::DatabaseError;
pub(crate) use registry::Registry;
pub use registry::RegistryError;
pub(crate) use sources::Servers;
pub use store::StoreReadError;
pub(crate) use store::{Lookups, Store};
