//! Event-sourced services on EventStoreDB, Kafka and Postgres.
//!
//! An [`App`] is one system: its events and aggregates, its views, reactors and services. [`App::main`] makes it a
//! binary with the commands that such a system needs: `init`, `setup`, `relay`, `project`, `react`, `service`,
//! `status`, `doctor`, `verify`, `parked`, `schemas`, `completions`, and with the feature `dev` also `dev` and
//! `devstore`. All read one [`Configuration`]; nothing is connected before it is read, and each command needs only the
//! addresses and secrets that it uses.
//!
//! | command | needs |
//! |---|---|
//! | `relay` | event store, Kafka, registry |
//! | `project` | Kafka, registry, Postgres |
//! | `react` | as `project`, and what the reactors ask for |
//! | `service` | what the service asks of its [`Connections`] |
//! | `verify` | event store, Kafka, registry; Postgres for the inboxes |
//! | `parked` | Kafka for the events of routes, Postgres for those of projections |
//! | `doctor` | nothing: it checks what is configured |
//! | `status` | Kafka with routes, or Postgres |
//! | `setup` | Kafka with routes, the registry with contexts, Postgres with projections, reactors or migrations |
//! | `dev` | nothing: it starts the servers itself |
//!
//! The parts can be used without an App: they are re-exported here by name.

mod address;
mod app;
mod commands;
mod configuration;
mod connections;
mod execute;
mod failure;
pub mod metrics;
mod migrations;
pub mod prelude;
pub mod sections;
mod service;

pub use app::App;
pub use commands::setup::SetupReport;
pub use configuration::{Configuration, SectionError};
pub use connections::{ConnectionError, Connections};
pub use execute::{Command, Commands, Committed};
pub use failure::Failure;
pub use migrations::Migrations;
pub use service::Service;

pub use aqueduct_core::{
    Aggregate, Codec, CodecError, CodecProblem, CommandId, CommandRequest, CommandResult, DomainEvent,
    ErrorKind, EventBus, EventStore, ExecuteError, MemoryStore, Metadata, NewEvent, Position, RecordedEvent,
    Repository, Revision, StoreError, StreamName, domain_event, testing,
};
pub use aqueduct_kafka::Cluster;
pub use aqueduct_projection::{
    Decoder, Deltas, Envelope, Key, Previous, ProjectError, Projection, Projector, ReactError, Reactor, View,
    from_row, run_query,
};
pub use aqueduct_relay::{Relay, Route};
pub use aqueduct_schema::{Registry, SchemaSet};
pub use aqueduct_service::trace;
pub use aqueduct_service::{ConfigError, Health};
