//! The checker of the sample shop.
//!
//! [`aqueduct_verify`] compares any store with its topics and inboxes. This crate adds what only the shop knows:
//! which events must be in the store for a given input file, what the latest version of each event says, and
//! which rows the read models must hold. It reads the input and the shop's rules with code of its own and shares
//! none with the shop.
//!
//! ```no_run
//! # async fn example() -> Result<(), aqueduct_shop_verify::CheckError> {
//! use aqueduct_shop_verify::{Options, check};
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

mod book;
mod causality;
mod check;
mod csv;
mod expect;
mod expected;
mod inventory;
mod lines;
mod log;
mod options;
mod rules;
mod sales;
mod shop;
#[cfg(test)]
mod tests;
mod upcast;
mod views;

pub use check::{CheckError, check};
pub use lines::InputError;
pub use options::Options;
pub use shop::Shop;
