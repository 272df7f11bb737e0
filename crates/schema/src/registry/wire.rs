//! The Confluent wire format: a zero byte, the schema's id in four bytes (big-endian), Avro.

pub(crate) const MAGIC: u8 = 0;
pub(crate) const HEADER: usize = 5;
