//! From schema files to layouts.

mod attributes;
pub(crate) mod compile;
mod defaults;
mod error;
mod files;
mod logical;
mod texts;

pub(crate) use attributes::strip as strip_attributes;
pub use error::LoadError;
pub use texts::SchemaFiles;
