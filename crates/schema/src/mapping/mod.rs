//! Plain JSON to Avro and back.

pub(crate) mod decimal;
pub(crate) mod decode;
pub(crate) mod encode;
mod input;
mod map_key;
pub(crate) mod mismatch;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod time;

#[cfg(test)]
mod tests;
