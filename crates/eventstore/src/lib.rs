//! Core's event store port on the `eventstore` crate, with the cures its client needs in production.
//!
//! [`EventStoreDb`] is made from [`Options`] and keeps what [`EventStore`](aqueduct_core::EventStore)
//! promises, although the client
//! - never sets TCP_NODELAY, which costs 44 ms an operation: it is set from outside, on every connection
//!   (Linux only);
//! - waits half a second before each connection: 1 ms, unless the connection string says otherwise;
//! - dies for good when it can't reach the store once: it is built again;
//! - ends a subscription at any trouble, or spins on it for ever: it is begun again after the last event that
//!   was handed on, events come once and in order, and a subscription that has fallen silent is found out.
//!
//! What waiting can cure has [`ErrorKind::Retry`](aqueduct_core::ErrorKind); what lies in the event or its
//! stream (too large, not JSON, a tombstone) `Park`; a refused login or a server that is no EventStoreDB
//! `Stop`. No message, log line or `Debug` shows the credentials of the connection string.
//!
//! Wanted from the process: the client installs rustls' process-wide crypto provider when it first connects,
//! and panics on its own task if somebody else has installed one before. Nothing else may do that.
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
//!         AllItem::Event(_) | AllItem::CaughtUp => {}
//!     }
//! }
//! # Ok(()) }
//! ```

pub mod bench;
mod connection;
mod error;
mod event;
pub mod metrics;
mod nodelay;
mod options;
mod peers;
mod pool;
mod store;
mod subscription;
mod unending;

pub use options::{Options, OptionsError};
pub use store::EventStoreDb;
