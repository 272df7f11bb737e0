//! Why a consumer could not be judged at all.

use std::path::PathBuf;

use aqueduct_core::CodecError;
use aqueduct_devstack::{CreateDatabaseError, PartError, StartError};
use aqueduct_schema::{LoadError, PublishError, RegistryError};
use rdkafka::error::KafkaError;

use crate::definition::DefinitionError;
use crate::history::HistoryError;

/// The kit could not do its work. What the consumer does wrong is in the report instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file that describes the consumer.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The file of the events.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No history can be generated.
    #[error("no history can be generated: {0}")]
    Generated(String),
    /// The schema files.
    #[error(transparent)]
    Schemas(#[from] LoadError),
    /// An event does not fit its schema.
    #[error("history, line {line}")]
    Event {
        /// The line, from 1.
        line: usize,
        /// Why it does not fit.
        #[source]
        source: CodecError,
    },
    /// A topic carries a type without a schema, or the registry refused.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The servers did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A server is missing.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A trial's database.
    #[error(transparent)]
    Database(#[from] CreateDatabaseError),
    /// The tables of the schemas `aqueduct` and `aqueduct_consumer`.
    #[error("could not install the functions for consumers")]
    Install(#[from] sqlx::migrate::MigrateError),
    /// A file of the consumer's migrations.
    #[error("{}: could not be applied", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Postgres's error.
        #[source]
        source: sqlx::Error,
    },
    /// The migrations of a projection in SQL files.
    #[error("the migrations of {} could not be applied", path.display())]
    SqlProjection {
        /// The projection's directory.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement of the kit.
    #[error("postgres: could not {doing}")]
    Postgres {
        /// What completes "could not".
        doing: &'static str,
        /// Postgres's error.
        #[source]
        source: sqlx::Error,
    },
    /// Kafka.
    #[error("kafka: could not {doing}")]
    Kafka {
        /// What completes "could not".
        doing: &'static str,
        /// librdkafka's error.
        #[source]
        source: KafkaError,
    },
    /// A file or a process.
    #[error("could not {doing}")]
    Io {
        /// What completes "could not".
        doing: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A task of the kit ended by a panic.
    #[error("a task of the kit ended by a panic")]
    Panicked,
    /// The consumer cannot be its own measure.
    #[error("cannot judge this consumer: {0}")]
    NoOracle(String),
}

impl Error {
    pub(crate) fn postgres(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Postgres { doing, source }
    }

    pub(crate) fn kafka(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { doing, source }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
