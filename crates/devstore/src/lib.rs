//! A single-node event store for development and tests that speaks EventStoreDB's gRPC protocol.
//!
//! Client code under test is the code in production: the `eventstore` crate, or a client in another
//! language, connects to it as to the real server. Its measure are recordings of EventStoreDB 23.10;
//! a test plays them.
//!
//! - **Storage**: on disk, every append durable before it is acknowledged, or in memory ([`Storage`]).
//! - **Served**: Append, Read (streams and `$all`, both directions, filters), catch-up and live
//!   subscriptions, Delete, Tombstone; ServerFeatures and Gossip; over HTTP `/health/live`, `/ping`
//!   and `/info`. BatchAppend, persistent subscriptions and following links are UNIMPLEMENTED.
//! - **Not for production**: one node, no users, no TLS, no scavenging. It logs a warning when it starts.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aqueduct_devstore::{Options, start};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let server = start(Options::in_memory(), listener, async { stopped.await.unwrap_or(()) }).await?;
//! println!("connect to {}", server.connection_string());
//! drop(stop);
//! server.stopped().await?;
//! # Ok(()) }
//! ```

mod change;
mod event;
mod expected;
mod filter;
mod grpc;
mod http;
mod log;
mod metadata;
mod options;
mod reader;
mod recent;
mod server;
mod storage;
mod writer;

pub use options::{Options, Storage};
pub use server::{Handle, StartError, StorageFailed, start};
