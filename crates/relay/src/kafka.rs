//! The relay's Kafka clients.

pub(crate) mod config;
pub(crate) mod group;
pub(crate) mod half_committed;
pub(crate) mod open_requests;
pub(crate) mod parked_topics;
pub(crate) mod producer;
pub(crate) mod reader;
pub(crate) mod recovery;
pub(crate) mod requests;
pub(crate) mod scan;
pub(crate) mod topic_readers;
pub(crate) mod topics;
