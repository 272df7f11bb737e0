//! What a schema says about JSON and bytes, in the form that encoding, decoding and upcasting walk.

pub(crate) mod invalid;
pub(crate) mod json_kind;
pub(crate) mod shape;
pub(crate) mod type_name;
pub(crate) mod types;
