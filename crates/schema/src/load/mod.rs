//! From schema files to layouts.

mod attributes;
pub(crate) mod compile;
mod defaults;
mod files;
mod logical;

pub(crate) use attributes::strip as strip_attributes;
pub use files::LoadError;
