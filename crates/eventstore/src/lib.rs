//! Core's event store port on the `eventstore` crate.
//!
//! [`EventStoreDb`] is created from [`Options`] and implements [`EventStore`](aqueduct_core::EventStore). It works
//! around these properties of the client:
//!
//! | The client | The adapter |
//! |---|---|
//! | never sets TCP_NODELAY, which costs 44 ms an operation | sets it from outside, on every connection (Linux only) |
//! | sleeps half a second before each connection | sleeps 1 ms, unless the connection string has a `discoveryInterval` |
//! | stops permanently when the store cannot be reached once | builds a new client |
//! | ends a subscription at any error, or spins on it | resubscribes after the last delivered event: each event comes once and in order |
//! | does not notice a silent connection | compares a silent subscription with the end of `$all` |
//! | knows the scheme `esdb` only | accepts `kurrentdb`, `kurrent` and `kdb` too |
//!
//! Errors that a retry can cure have [`ErrorKind::Retry`](aqueduct_core::ErrorKind); those of an event or its stream
//! (too large, not JSON, tombstoned) `Park`; a refused login, or a server that is not EventStoreDB, `Stop`. No error,
//! log message or `Debug` output shows the credentials of the connection string.
//!
//! The client installs rustls' process-wide crypto provider when it first connects, and panics on its own task if
//! one is already installed. Nothing else in the process may install one.
//!
//! ```
//! use aqueduct_core::{AllItem, EventStore, ExpectedRevision, NewEvent};
//! use aqueduct_eventstore::{EventStoreDb, Options};
//! use futures::StreamExt;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let server = aqueduct_devstore::Options::in_memory();
//! # let server = aqueduct_devstore::start(server, listener, std::future::pending()).await?;
//! # let url = server.connection_string();
//! let store = EventStoreDb::new(Options::new(url))?; // esdb://localhost:2113?tls=false
//! let event = NewEvent {
//!     id: uuid::Uuid::new_v4(),
//!     event_type: "UserRegistered".to_owned(),
//!     data: r#"{"userId":"7"}"#.into(),
//!     metadata: Default::default(),
//! };
//! let appended = store.append(&"user-7".into(), ExpectedRevision::NoStream, &[event]).await?;
//!
//! let mut all = store.subscribe_all(None);
//! while let Some(item) = all.next().await {
//!     match item? {
//!         AllItem::Event(event) if event.position == appended.position => {
//!             assert_eq!(event.reference(), "0@user-7");
//!             break;
//!         }
//!         AllItem::Event(_) | AllItem::CaughtUp | AllItem::Resubscribed => {}
//!     }
//! }
//! # Ok(()) }
//! ```

#[cfg(feature = "bench")]
pub mod bench;
mod connection;
mod connection_string;
mod error;
mod event;
pub mod metrics;
mod nodelay;
mod options;
mod peers;
mod pool;
mod read_ahead;
mod shared;
mod store;
mod subscription;
mod unending;

pub use options::{Options, OptionsError};
pub use store::EventStoreDb;
