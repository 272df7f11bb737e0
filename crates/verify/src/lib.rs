//! The independent checker.
//!
//! It reads all that a run has left behind (the input, the event store, the topics, Postgres), compares each
//! stage with the one before it and names what differs. It shares no code with the parts it judges, only the
//! layout of what they write: another Avro crate, its own partitioner, its own change from old versions to
//! new ones, its own reading of the shop's rules.
//!
//! - *Collecting* ([`check`]) does the I/O; *judging* is pure and works on what was collected.
//! - The comparison of store, topics and inbox is generic ([`check_system`]); what it must know about a system
//!   is a [`System`], and [`Shop`] is the one for the sample shop.
//! - Every difference is a [`Finding`] with a [`Stage`], a [`Kind`] and a place, so that a reader can go and
//!   look.
//!
//! ```no_run
//! # async fn example() -> Result<(), aqueduct_verify::CheckError> {
//! use aqueduct_verify::{Options, check};
//!
//! let options = Options::new(
//!     "esdb://127.0.0.1:2113?tls=false",
//!     "127.0.0.1:9092",
//!     "http://127.0.0.1:8081",
//!     "postgres://aqueduct@127.0.0.1/aqueduct",
//!     "orders.csv.gz".into(),
//! );
//! let report = check(&options).await?;
//! assert!(report.is_clean(), "{report}");
//! # Ok(())
//! # }
//! ```

mod check;
mod collect;
mod decimal;
mod finding;
mod inbox;
mod log;
mod murmur2;
mod options;
mod payload;
mod report;
mod shop;
mod system;
mod table;
mod topics;

pub use check::{CheckError, check, check_system};
pub use collect::{DatabaseError, KafkaError, RegistryError, StoreReadError};
pub use finding::{Finding, Findings, Kind, Stage};
pub use log::{Entry, Log};
pub use options::Options;
pub use report::Report;
pub use shop::{InputError, Shop};
pub use system::System;
pub use table::{Cells, Table};
