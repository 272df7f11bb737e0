//! From schema files to layouts.

mod attributes;
pub(crate) mod compile;
mod defaults;
mod endless;
mod error;
mod files;
mod ignored;
pub(crate) mod registered;
mod texts;

pub use error::LoadError;
pub use texts::SchemaFiles;
