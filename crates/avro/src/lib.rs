//! Avro as its specification and its reference implementation (Avro Java 1.12) have it: for any schema, whoever wrote it.
//!
//! - [`Schema::parse`] reads the text of a schema, with named types, aliases, forward references and comments;
//! - [`Schema::to_json`], [`Schema::canonical_form`] and its fingerprints;
//! - [`compatibility`] says whether a reader's schema reads what a writer's schema wrote, [`Level`] what a registry asks of versions;
//! - [`encode`](Schema::encode) and [`decode`](Schema::decode) a [`Value`], [`Resolution`] decodes a writer's bytes as a reader's
//!   value;
//! - [`Value::from_json`] and [`Value::to_json`] are Avro's JSON encoding.
//!
//! ```
//! use aqueduct_avro::{Resolution, Schema, compatibility};
//!
//! let writer = Schema::parse(r#"{"type": "record", "name": "Paid", "fields": [{"name": "pence", "type": "int"}]}"#)?;
//! let reader = Schema::parse(
//!     r#"{"type": "record", "name": "Paid", "fields": [
//!         {"name": "amount", "type": "long", "aliases": ["pence"]},
//!         {"name": "currency", "type": "string", "default": "GBP"}]}"#,
//! )?;
//! assert!(compatibility(&reader, &writer).is_compatible());
//! let value = Resolution::new(&writer, &reader).decode(&[14])?;
//! assert_eq!(value.to_json(&reader)?, serde_json::json!({"amount": 7, "currency": "GBP"}));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It differs from the reference where that silently gives another value than the one that was written: bytes that are not UTF-8
//! read as a string, and defaults that do not fit their type, are errors, and a number as a default of a union is of the branch that
//! holds it. Time and memory are bounded for all schemas and bytes, which the errors name.

mod aliases;
mod binary;
mod canonical;
mod compatibility;
mod decode;
mod default;
mod encode;
mod equality;
mod fingerprint;
mod json_encoding;
mod json_text;
mod level;
mod logical;
mod name;
mod parse;
mod print;
pub mod recordings;
mod resolution;
mod schema;
mod value;

pub use compatibility::{Compatibility, Incompatibility, IncompatibilityKind, compatibility};
pub use decode::DecodeError;
pub use encode::EncodeError;
pub use json_encoding::JsonError;
pub use level::{Direction, Level};
pub use logical::LogicalType;
pub use name::{Name, NameError};
pub use parse::{ParseError, Problem};
pub use resolution::{Pair, Resolution};
pub use schema::{Enum, Field, Fixed, Order, Record, Schema, Type, TypeId};
pub use value::Value;
