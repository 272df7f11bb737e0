//! What a developer needs on one machine, started and ended with the command: event store, registry, Kafka, Postgres.
//!
//! A [`DevStack`] starts the parts that its [`Options`] ask for and ends them when it ends: in order by
//! [`DevStack::shutdown`], at once when it is dropped, and by the kernel when the process is killed. Apache Kafka and
//! PostgreSQL are the real ones, as child processes on free loopback ports with their durability untouched; the event
//! store and the schema registry run in process. What has to be downloaded or initialised comes into a cache, once per user.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use aqueduct_devstack::{DevStack, Options};
//!
//! let stack = DevStack::start(Options::all()).await?;
//! println!("kafka on {}", stack.kafka_bootstrap()?);
//! let database = stack.create_database("orders").await?;
//! // A fault: Kafka is gone, and comes back on the same port with the same data.
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
mod stack;
mod tools;

pub use embedded::Embedded;
pub use error::{EndedError, Missing, PartError, StartError};
pub use options::{Data, Options, Part, PostgresFrom};
pub use process::{Child, Conditions, RunAs, tail};
pub use server::Server;
pub use stack::{CreateDatabaseError, DevStack};
