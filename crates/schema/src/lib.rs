//! Avro schemas with versions: plain JSON to Avro and back, upcasting rules, the registry client.
//!
//! Events are stored as plain JSON and go to Kafka as Avro. A [`SchemaSet`] holds the schema files of all event
//! types in all their versions. It checks what is about to be stored, brings stored events of any version to the
//! latest one, and encodes them. The mapping between JSON and Avro, the policy for versions and the language of
//! upcast rules are written down in `schemas/README.md`.
//!
//! - [`SchemaSet`] is core's [`Codec`](aqueduct_core::Codec): aggregates load through the same chain of upcasts as
//!   the relay.
//! - [`publish`] registers the latest versions; [`RecordEncoder`] and [`RecordDecoder`] make and read Kafka values
//!   in wire format by a [`Registry`], and never register anything.
//! - [`TopicSchemas`] knows which event types topics carry, and a [`ReaderSchema`] reads values of any schema as those of
//!   the version that a reader was written for.
//! - [`check_examples`] runs the examples of upcast rules.
//! - [`generate`] writes Rust types of the latest versions.
//!
//! Everything but the registry is synchronous and pure. What is refused names its place: the file and field of a
//! schema ([`LoadError`]), the path in an event ([`CodecError`](aqueduct_core::CodecError)), the subject in the
//! registry ([`RegistryError`]); each error's `kind()` says whether to retry, park or stop. Events are bounded in
//! size, depth and what upcasting them may cost ([`MAX_EVENT_BYTES`] and its neighbours).
//!
//! ```
//! use aqueduct_core::Codec;
//! use aqueduct_schema::SchemaSet;
//!
//! # let folder = tempfile::tempdir()?;
//! # let parcel = folder.path().join("shipping/ParcelSent");
//! # std::fs::create_dir_all(&parcel)?;
//! // shipping/ParcelSent/v1.avsc, and v2.avsc with a rule for what was called differently and counted in kilograms
//! let v1 = r#"{"type": "record", "name": "ParcelSent", "namespace": "shop.shipping", "fields": [
//!     {"name": "parcel", "type": "string"}, {"name": "kilograms", "type": "string"}]}"#;
//! let v2 = r#"{"type": "record", "name": "ParcelSent", "namespace": "shop.shipping", "fields": [
//!     {"name": "parcelId", "type": "string", "aliases": ["parcel"]},
//!     {"name": "grams", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 1},
//!      "upcast": "mul(old.kilograms, 1000)"}]}"#;
//! # std::fs::write(parcel.join("v1.avsc"), v1)?;
//! # std::fs::write(parcel.join("v2.avsc"), v2)?;
//! # let schemas = folder.path();
//! let set = SchemaSet::load(schemas)?;
//! let stored = br#"{"parcel": "p-1", "kilograms": "1.25"}"#.to_vec().into();
//! let latest = set.upcast("ParcelSent", 1, &stored)?;
//! assert_eq!(&latest[..], br#"{"grams":"1250.0","parcelId":"p-1"}"#);
//!
//! let refused = set.encode("ParcelSent", br#"{"parcelId": "p-2", "grams": "much"}"#.to_vec()).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "event type ParcelSent, version 2: grams: \"much\" is not a decimal number"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod examples;
mod generate;
pub mod infer;
mod layout;
mod limits;
mod load;
mod mapping;
mod place;
pub mod plain;
mod reader;
mod registry;
mod resolved;
mod sample;
mod set;
mod topic_schemas;
mod upcast;

pub use examples::{ExampleFailure, ExamplesReport, RuleWithoutExample, check_examples};
pub use generate::{GenerateError, generate};
pub use limits::{
    MAX_DEPTH, MAX_EVENT_BYTES, MAX_RULE_BYTES, MAX_RULE_DEPTH, MAX_UPCAST_BYTES, MAX_UPCAST_WORK, MAX_VALUES,
};
pub use load::{LoadError, SchemaFiles};
pub use place::JsonPlace;
pub use reader::{ReadError, ReaderSchema};
pub use registry::{
    DecodeError, DecodedRecord, EncodedRecord, EncodedValue, PublishError, Published, RecordDecoder,
    RecordEncoder, RecordValue, RegisteredType, Registry, RegistryError, RegistryOptions, TopicEvents,
    publish, unpublished,
};
pub use set::{EventSchemas, SchemaSet};
pub use topic_schemas::{TopicSchemas, VersionError};
pub use upcast::RULE_LANGUAGE_VERSION;
