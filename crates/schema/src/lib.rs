//! Avro schemas with versions: plain JSON to Avro and back, upcasting rules, the registry client.

mod compile;
mod decimal;
mod decode;
mod defaults;
mod encode;
mod generate;
mod layout;
mod limits;
mod load;
mod logical;
mod mismatch;
pub mod plain;
mod publish;
mod record;
mod registry;
mod scalar;
mod set;
mod upcast;

pub use generate::{GenerateError, generate};
pub use limits::{
    MAX_AVRO_ALLOCATION, MAX_DEPTH, MAX_EVENT_BYTES, MAX_RULE_BYTES, MAX_RULE_COST, MAX_VALUES,
};
pub use load::LoadError;
pub use publish::{PublishError, Published, TopicEvents, publish};
pub use record::{DecodeError, DecodedRecord, EncodedRecord, RecordDecoder, RecordEncoder};
pub use registry::{Registry, RegistryError, RegistryOptions};
pub use set::{EventSchemas, SchemaSet};

#[cfg(test)]
mod tests;
