//! Reading what is judged: the only modules that do I/O.

mod kafka;
mod postgres;
mod registry;
mod store;

pub(crate) use kafka::Consumer;
pub use kafka::KafkaError;
pub(crate) use postgres::Database;
pub use postgres::DatabaseError;
pub(crate) use registry::Registry;
pub use registry::RegistryError;
pub use store::StoreReadError;
pub(crate) use store::read_store;
