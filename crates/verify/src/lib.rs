//! The independent checker.
//!
//! It compares the event store, the topics and the inboxes of the projections, each with the one before it, and
//! names what differs. It shares no code with the parts that it checks, only the layout of what they write: it
//! uses another Avro crate and has its own partitioner.
//!
//! - *Collecting* ([`check_system`]) does the I/O; *judging* is pure and works on what was collected.
//! - What only one system knows (latest versions of its events, rows of its read models, rules of its own) is a
//!   [`System`].
//! - Every difference is a [`Finding`] with a [`Stage`], a [`Kind`] and the place where it is.

mod check;
mod collect;
mod decimal;
mod finding;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod inbox;
mod log;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod murmur2;
mod options;
mod payload;
mod report;
mod system;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod topics;

pub use check::{CheckError, check_system};
pub use collect::{DatabaseError, KafkaError, RegistryError, StoreReadError};
pub use decimal::{scaled, trimmed};
pub use finding::{Finding, Findings, Kind, Stage};
pub use log::{Entry, Log};
pub use options::Options;
pub use report::Report;
pub use system::System;
pub use table::{Cells, Table};
