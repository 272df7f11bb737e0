//! The conformance kit: tests whether a consumer in any language keeps the contract of `aqueduct_consumer`.
//!
//! The consumer is a command, and a black box: [`test()`] starts servers, gives the command their addresses in its
//! environment, writes records as the relay does, disturbs it, and compares the tables that it leaves with those that the
//! same command makes of undisturbed records, one record a transaction. Each [`Property`] is a kind of disturbance with a
//! [`Verdict`]. What the kit cannot see is a fold that is wrong in itself.

mod activity;
mod cuts;
mod databases;
mod definition;
mod error;
mod events;
mod generated;
mod history;
mod instance;
mod oracle;
mod properties;
mod property;
mod proxy;
mod record;
mod registry_proxy;
mod report;
mod script;
mod servers;
mod signal;
mod sql_files;
mod strikes;
mod table_name;
mod tables;
mod test;
mod trial;
mod trial_error;
mod written;

pub use definition::{Definition, DefinitionError};
pub use error::Error;
pub use history::HistoryError;
pub use property::Property;
pub use report::{Failure, JunitXml, PropertyReport, Report, RowDifference, Verdict};
pub use servers::Servers;
pub use test::{Options, test, test_on};
