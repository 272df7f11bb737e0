//! The relay's Kafka clients.

pub(crate) mod config;
pub(crate) mod group;
pub(crate) mod producer;
pub(crate) mod reader;
pub(crate) mod recovery;
pub(crate) mod topics;
