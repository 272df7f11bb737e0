//! The servers that a developer needs, on one machine: event store, registry, Kafka, Postgres.
//!
//! A [`DevStack`] starts the parts of its [`Options`]. They end with it: in order with [`DevStack::shutdown`], at once
//! when it is dropped, and by the kernel when the process is killed. Apache Kafka and
//! PostgreSQL are the real ones, as child processes on free loopback ports with their default
//! durability; the event store and the schema registry run in process. Downloads and templates are kept in a cache per
//! user.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use aqueduct_devstack::{DevStack, Options};
//!
//! let stack = DevStack::start(Options::all()).await?;
//! println!("kafka on {}", stack.kafka_bootstrap()?);
//! let database = stack.create_database("orders").await?;
//! // A fault: Kafka crashes and restarts on the same port with the same data.
//! stack.kafka()?.kill().await;
//! stack.kafka()?.start().await?;
//! # let _ = database;
//! stack.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! For development and tests: the passwords are random, but there is no encryption and no replication. Linux only.

mod apicurio;
mod cache;
mod data;
mod embedded;
mod error;
mod event_store;
mod kafka;
mod maven;
mod options;
mod plan;
mod port;
mod postgres;
mod probe;
mod process;
mod registry;
mod server;
mod slot;
mod space;
mod stack;
mod tools;

pub use embedded::Embedded;
pub use error::{EndedError, Missing, NoSpaceError, PartError, StartError};
pub use options::{Data, Options, Part, PostgresFrom};
pub use process::{Child, Conditions, RunAs, tail};
pub use server::Server;
pub use stack::{CreateDatabaseError, DevStack};
