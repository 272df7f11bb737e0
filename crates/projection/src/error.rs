//! Errors of a projection.

use std::fmt;

use aqueduct_core::ErrorKind;
use rdkafka::error::KafkaError;
use sqlx::migrate::MigrateError;

use crate::inbox::ownership::RecreatedTopic;
use crate::model::error::{StatementError, TableError};
use crate::postgres::error::error_kind;

/// A partition whose next record no longer exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingOffset {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// Offset of the next record, as stored in Postgres.
    pub offset: i64,
    /// Offset of the first record that the partition has.
    pub start: i64,
    /// Offset after the last record that the partition has.
    pub end: i64,
}

impl fmt::Display for MissingOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, start, end } = self;
        write!(f, "topic {topic:?}, partition {partition}: offset {offset} is not between {start} and {end}")
    }
}

/// An error of a projection. Each but [`RequestStep`](Self::RequestStep) ends it; temporary errors are retried
/// instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// An option is not valid.
    #[error("projection {projection}: option {option} {problem}")]
    Option {
        /// Name of the projection.
        projection: &'static str,
        /// Key of the option in its section.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The projection cannot write its table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The migrations of schema `aqueduct` failed.
    #[error("projection {projection}: the migrations of schema aqueduct failed")]
    Migrate {
        /// Name of the projection.
        projection: &'static str,
        /// Error of the migration that failed.
        source: MigrateError,
    },
    /// The role has no right to the schema `aqueduct`.
    #[error(
        "projection {projection}: postgres does not let role {role:?} use the schema aqueduct: as a role that may create schemas, \
         run `aqueduct setup` and `aqueduct projection install {projection} --owner {role} --runner {role}`"
    )]
    Rights {
        /// Name of the projection.
        projection: &'static str,
        /// The role.
        role: String,
        /// Postgres's error.
        source: MigrateError,
    },
    /// The URL of Postgres is not valid.
    #[error(
        "projection {projection}: the URL of postgres is not valid: write postgres://user:password@host/database"
    )]
    Url {
        /// Name of the projection.
        projection: &'static str,
        /// What is wrong with it.
        source: sqlx::Error,
    },
    /// A partition could not be claimed.
    #[error(
        "projection {projection}: a partition could not be claimed in postgres: check the permissions of the user and \
         run the migrations"
    )]
    Claim {
        /// Name of the projection.
        projection: &'static str,
        /// Postgres's error.
        source: sqlx::Error,
    },
    /// The Kafka client could not be created.
    #[error("projection {projection}: the kafka client could not be created; check brokers and properties")]
    Kafka {
        /// Name of the projection.
        projection: &'static str,
        /// librdkafka's error.
        source: KafkaError,
    },
    /// A topic was deleted and created again.
    #[error(
        "projection {projection}: topic {} was deleted and created again: its id is {}, and records of the former one, {}, were \
         applied; check what the new one contains, then run `aqueduct projection accept {projection} topic_recreated` to read it \
         from its beginning",
        recreated.topic, recreated.found, recreated.read
    )]
    TopicRecreated {
        /// Name of the projection.
        projection: &'static str,
        /// The topic.
        recreated: RecreatedTopic,
    },
    /// Records were deleted before they were read.
    #[error(
        "projection {projection}: the next record no longer exists ({}): the topic was recreated or its retention is \
         too short; compare with the store, then move the offset with aqueduct.offsets_set",
        missing_text(missing)
    )]
    OffsetGone {
        /// Name of the projection.
        projection: &'static str,
        /// The partitions concerned; empty if Kafka did not say which offsets it has.
        missing: Vec<MissingOffset>,
        /// librdkafka's error, which names no partition.
        source: KafkaError,
    },
    /// The thread that polls Kafka panicked.
    #[error("projection {projection}: the kafka poll thread panicked")]
    PollThread {
        /// Name of the projection.
        projection: &'static str,
        /// The panic.
        source: tokio::task::JoinError,
    },
    /// A batch could not be applied.
    #[error("projection {projection} halted")]
    Batch {
        /// Name of the projection.
        projection: &'static str,
        /// Error that no retry can solve.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A step of a request for parked events failed and can be repeated. It never ends a projection.
    #[error("projection {projection}: a step of a request for parked events failed")]
    RequestStep {
        /// Name of the projection.
        projection: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn missing_text(missing: &[MissingOffset]) -> String {
    if missing.is_empty() {
        return "kafka does not answer which offsets the partitions have".to_owned();
    }
    missing.iter().map(MissingOffset::to_string).collect::<Vec<_>>().join("; ")
}

impl ProjectionError {
    /// Kind of an error at the start: [`ErrorKind::Retry`] or [`ErrorKind::Stop`].
    pub(crate) fn kind_at_start(&self) -> ErrorKind {
        let source = match self {
            Self::Migrate {
                source: MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
                ..
            } => error,
            Self::Table(
                TableError::Postgres { source, .. }
                | TableError::History { source, .. }
                | TableError::Statement(StatementError { source, .. }),
            ) => source,
            Self::Table(TableError::Version { source, .. }) => return source.kind(),
            _ => return ErrorKind::Stop,
        };
        if error_kind(source) == ErrorKind::Retry { ErrorKind::Retry } else { ErrorKind::Stop }
    }
}
