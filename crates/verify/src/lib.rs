//! The independent checker.
//!
//! It compares the event store, the topics and the inboxes of the projections, each with the one before it, and
//! names what differs. It shares no code with the parts that it checks, only core's types for a stored event:
//! JSON, Avro, the mapping between them, the reading of events that others wrote and the partitioner are its own.
//!
//! - A [`Check`] reads the servers. The comparison itself is pure; store and topics are compared in lock step, with
//!   memory for each stream and not for each event.
//! - What only one system knows (latest versions of its events, rows of its read models, rules of its own) is a
//!   [`System`]. Without one, payloads are compared with the stored JSON as the schema files say, where no upcast
//!   rule was applied, and the others are counted.
//! - Every difference is a [`Finding`] with a [`Stage`], a [`Kind`] and the place where it is.

mod check;
mod collect;
mod decimal;
mod finding;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod inbox;
mod json;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod lockstep;
mod mapping;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod murmur2;
mod options;
mod payload;
mod report;
mod route;
mod selection;
mod system;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod topic;

pub use check::{Check, CheckError};
pub use collect::{DatabaseError, KafkaError, RegistryError, StoreReadError};
pub use decimal::{scaled, trimmed};
pub use finding::{Finding, Findings, Kind, Stage};
pub use mapping::{MetadataMapping, Pointer, TimePointer, TimeUnit, TracePointer, TypeMap};
pub use options::Options;
pub use payload::FilesError;
pub use report::Report;
pub use route::{Events, Route};
pub use selection::{Exclusions, Selection};
pub use system::System;
pub use table::{Cells, Table};
