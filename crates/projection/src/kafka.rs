//! The Kafka side: a thread of its own that polls, claims partitions and forwards records.

pub(crate) mod claim;
pub(crate) mod client;
mod lag;
pub(crate) mod poll;
pub(crate) mod shared;
pub(crate) mod topic_ids;
pub(crate) mod topics;
