//! Projections: records from Kafka to Postgres, once each, with inbox, views, reactors and parked events.
//!
//! A projection is a [`View`] (a row is the fold of one stream's events), [`Deltas`] (rows are sums over many
//! streams), a [`Projector`] (any statements) or a [`Reactor`] (events in, commands out). A [`Projection`] runs it on a consumer
//! group. Each batch is one transaction in Postgres:
//!
//! 1. the partitions' offsets are moved, which is rejected if they have another owner now (the epoch);
//! 2. the *inbox* checks each record by its revision and the previous one: next, duplicate, or after a gap;
//! 3. what is next is folded into its rows;
//! 4. what cannot be read or applied, what follows a gap, and all later events of the same stream are *parked*.
//!
//! So each event is applied once, in the order of its stream, across crashes and redeliveries. Kafka only
//! has to keep the records. Temporary errors (Postgres, Kafka or the registry unreachable) are retried. The inbox
//! consists of SQL functions (`migrations/`), which consumers in other languages can use too.
//!
//! ```
//! use aqueduct_core::domain_event;
//! use aqueduct_kafka::Cluster;
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
//!         Some(Account { balance, revision: envelope.revision })
//!     }
//! }
//!
//! # async fn run(shutdown: tokio_util::sync::CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new("localhost:9092");
//! let options = Options::new(PostgresOptions::new("postgres://localhost/bank"), cluster);
//! let decoder = registry_decoder(&aqueduct_schema::RegistryOptions::new("http://localhost:8081"))?;
//! Projection::view::<Accounts>(options, decoder).run(shutdown).await?;
//! # Ok(()) }
//! ```

mod backoff;
mod batch;
pub mod consumer;
mod error;
mod inbox;
mod kafka;
pub mod metrics;
mod model;
mod options;
pub mod parked;
mod partition_report;
mod postgres;
mod processor;
mod projection;
mod record;
mod row;
mod session;
mod sql;
mod status;
mod status_record;

pub use batch::outcome::Outcome;
pub use error::{MissingOffset, ProjectionError};
pub use inbox::ownership::{Claim, RecreatedTopic};
pub use model::deltas::Deltas;
pub use model::error::{ProjectError, ReactError, StatementError, TableError};
pub use model::key::Key;
pub use model::projector::Projector;
pub use model::reactor::Reactor;
pub use model::view::View;
pub use options::Options;
pub use parked::execute::RequestStep;
pub use partition_report::{PartitionReport, PartitionState, read_partitions};
pub use postgres::migrate::{MigrationState, migrate, migration_pool, migration_state, migrator};
pub use postgres::options::PostgresOptions;
pub use postgres::query::run_query;
pub use processor::BatchProcessor;
pub use projection::Projection;
pub use record::Record;
pub use record::decode::{DecodeError, Decoder, Payload, registry_decoder};
pub use record::envelope::{Envelope, Previous};
pub use record::headers::Headers;
pub use sql::definition::SqlProjection;
pub use sql::error::DefinitionError;
pub use sql::examples::report::{ExampleReport, ExamplesError};
pub use status::{ProjectionEnded, Status};

/// The example of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
