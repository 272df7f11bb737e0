//! Projections: records from Kafka to Postgres, once each, with inbox, views, reactors and parked events.
//!
//! A projection is a [`View`] (a row is the fold of one stream's events), a [`Deltas`] (rows are sums over many
//! streams) or a [`Reactor`] (events in, commands out). A [`Projection`] runs it on a consumer group. Each
//! batch is one transaction in Postgres:
//!
//! 1. the partitions' offsets are moved, which is refused if they have another owner by now (the epoch);
//! 2. the *inbox* judges each record by its revision and the one before it: next, duplicate, or after a gap;
//! 3. what is next is folded into its rows;
//! 4. what can't be read or applied, what comes after a gap, and all that follows in the same stream is *parked*.
//!
//! So each event counts once, in its stream's order, whatever is killed or delivered again; nothing is asked of
//! Kafka but that it holds the records. What waiting may cure (Postgres, Kafka or the registry gone) is waited
//! for. The inbox is SQL functions (`migrations/`), the same for a consumer in another language.
//!
//! ```
//! use aqueduct_core::domain_event;
//! use aqueduct_projection::{Envelope, Key, Options, PostgresOptions, Projection, View, registry_decoder};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Deposited { pub amount: i64 }
//!
//! domain_event! { pub enum AccountEvent { Deposited } }
//!
//! // create table bank.accounts (account text primary key, balance bigint not null, revision bigint not null)
//! #[derive(Serialize, Deserialize)]
//! pub struct Account { balance: i64, revision: u64 }
//!
//! struct Accounts;
//!
//! impl View for Accounts {
//!     const NAME: &'static str = "accounts";
//!     const TOPICS: &'static [&'static str] = &["bank.accounts"];
//!     const TABLE: &'static str = "bank.accounts";
//!     const KEY: &'static [&'static str] = &["account"];
//!     type Event = AccountEvent;
//!     type Row = Account;
//!
//!     fn key(_: &AccountEvent, envelope: &Envelope) -> Key {
//!         [envelope.stream.as_str()].into()
//!     }
//!
//!     fn fold(row: Option<Account>, event: &AccountEvent, envelope: &Envelope) -> Option<Account> {
//!         let AccountEvent::Deposited(Deposited { amount }) = event;
//!         let balance = row.map_or(0, |account| account.balance) + amount;
//!         Some(Account { balance, revision: envelope.place.revision })
//!     }
//! }
//!
//! # async fn run(shutdown: tokio_util::sync::CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new(PostgresOptions::new("postgres://localhost/bank"), "localhost:9092");
//! let decoder = registry_decoder(&aqueduct_schema::RegistryOptions::new("http://localhost:8081"))?;
//! Projection::view::<Accounts>(options, decoder).run(shutdown).await?;
//! # Ok(()) }
//! ```

mod backoff;
mod batch;
mod batches;
mod consumer;
mod decode;
mod deltas;
mod envelope;
mod error;
mod handler;
mod headers;
mod inbox;
mod key;
pub mod metrics;
mod options;
mod ownership;
mod parked;
mod postgres;
mod processor;
mod projection;
mod react;
mod reactor;
mod record;
mod status;
mod table;
mod trace;
mod view;

pub use batches::Batches;
pub use decode::{DecodeError, Decoder, Payload};
pub use deltas::Deltas;
pub use envelope::{Envelope, Place, Previous};
pub use error::ProjectionError;
pub use headers::Headers;
pub use key::Key;
pub use options::Options;
pub use postgres::{PostgresOptions, migrate};
pub use processor::Outcome;
pub use projection::{Projection, registry_decoder};
pub use reactor::{ReactError, Reactor};
pub use record::Record;
pub use status::Status;
pub use table::TableError;
pub use view::View;
