//! From schema files to layouts.

pub(crate) mod compile;
mod defaults;
mod files;
mod logical;

pub use files::LoadError;
