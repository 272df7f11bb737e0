//! Stored JSON against Avro.
//!
//! The JSON is read as its schema asks, by the rules of the plain JSON mapping, into the [`Datum`] that a record must
//! contain; the record's bytes are decoded into another, and the two are compared. Nothing of it is the schema
//! crate's, and no Avro library is involved.

mod datum;
mod decode;
mod defaults;
mod expect;
mod fields;
mod files;
mod migrate;
mod number;
mod schema;
mod text;
mod time;

pub(crate) use datum::{Datum, difference};
pub use files::FilesError;
pub(crate) use files::{EventFiles, Files};
pub(crate) use schema::Schema;

#[cfg(test)]
mod tests;
