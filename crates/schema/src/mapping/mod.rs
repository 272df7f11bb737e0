//! Plain JSON to Avro and back.

pub(crate) mod decimal;
pub(crate) mod decode;
pub(crate) mod encode;
mod fields;
pub(crate) mod input;
pub(crate) mod json;
mod map_key;
pub(crate) mod mismatch;
pub(crate) mod number;
mod skip;
pub(crate) mod straight;
pub(crate) mod text;
pub(crate) mod time;

#[cfg(test)]
mod tests;
