//! The comparison of store and topics, in lock step.
//!
//! The store is read through once. The partitions of the topics are read in step with it: one lane writes the
//! records of a partition in the order of `$all`, so the next event that a topic selects is the next record of
//! its partition. A record out of that order (replayed, swapped, duplicated, foreign) is judged by looking its
//! event up in the store.
//!
//! Memory: about 250 bytes and its name for each stream, per topic that may select it; 16 bytes for each run of
//! consecutive events of a stream that have no record; about 80 bytes for each exception; for each partition 256 records (at most 4 MiB and one
//! record) and what the Kafka client has fetched ahead (1 MiB); about 6 MiB of events read ahead. Nothing is kept for an event that has its record.

mod accounts;
mod compare;
mod engine;
mod exceptions;
mod reasons;
mod record;
mod sources;
mod stored;
mod streams;
mod window;

pub(crate) use engine::{Knowledge, Lockstep, Outcome};
pub use record::Record;
pub(crate) use sources::{Beginning, Sources};
#[cfg(feature = "testing")]
pub(crate) use stored::mapped;
pub(crate) use streams::Streams;
