//! The schema registry: publishing schemas, and values that carry the id of theirs.

mod client;
mod decoder;
mod encoder;
mod error;
mod options;
mod publish;
mod subject;
mod wire;

pub use client::Registry;
pub use decoder::{DecodeError, DecodedRecord, RecordDecoder, RecordValue};
pub use encoder::{EncodedRecord, EncodedValue, RecordEncoder, RegisteredType};
pub use error::RegistryError;
pub use options::RegistryOptions;
pub use publish::{PublishError, Published, TopicEvents, publish, unpublished};
