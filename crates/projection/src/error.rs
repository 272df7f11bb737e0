//! Why a projection ended.

use aqueduct_core::ErrorKind;
use rdkafka::error::KafkaError;
use sqlx::migrate::MigrateError;

use crate::model::table::TableError;
use crate::postgres::error::error_kind;

/// A projection can't continue. What a retry may solve is retried and is not reported as this error.
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
    /// The projection can't write its table.
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
    /// Postgres refused to let the projection claim a partition, its URL is not valid, or the like.
    #[error("projection {projection}: postgres refused; check the URL, the permissions and the migrations")]
    Postgres {
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
    /// Records were deleted before they were read.
    #[error(
        "projection {projection}: the next record of a partition no longer exists ({problem}): its topic was \
         recreated or its retention is too short; compare with the store, then move the offset with \
         aqueduct.offsets_set"
    )]
    OffsetGone {
        /// Name of the projection.
        projection: &'static str,
        /// What the client reported.
        problem: String,
    },
    /// A batch could not be applied.
    #[error("projection {projection} stopped")]
    Batch {
        /// Name of the projection.
        projection: &'static str,
        /// Error that no retry can solve.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ProjectionError {
    /// What to do about an error at the start: [`ErrorKind::Retry`] or [`ErrorKind::Stop`].
    pub(crate) fn kind_at_start(&self) -> ErrorKind {
        let source = match self {
            Self::Migrate {
                source: MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
                ..
            } => error,
            Self::Table(TableError::Postgres { source, .. }) => source,
            _ => return ErrorKind::Stop,
        };
        if error_kind(source) == ErrorKind::Retry { ErrorKind::Retry } else { ErrorKind::Stop }
    }
}
