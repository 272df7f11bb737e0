//! Why a projection ended.

use rdkafka::error::KafkaError;
use sqlx::migrate::MigrateError;

use crate::TableError;
use crate::processor::BatchError;

/// A projection can't go on. What waiting may cure is retried and does not come here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// An option has no sense.
    #[error("projection {projection}: option {option} {problem}")]
    Option {
        /// Name of the projection.
        projection: &'static str,
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Its table does not go with it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The inbox's own tables could not be made.
    #[error("projection {projection}: the migrations of schema aqueduct failed")]
    Migrate {
        /// Name of the projection.
        projection: &'static str,
        /// The cause.
        source: MigrateError,
    },
    /// Postgres refused a partition, its URL can't be read, or the like.
    #[error("projection {projection}: postgres refused; check the URL, the rights and the migrations")]
    Postgres {
        /// Name of the projection.
        projection: &'static str,
        /// The cause.
        source: sqlx::Error,
    },
    /// The Kafka client could not be set up.
    #[error("projection {projection}: the kafka client could not be set up; check brokers and properties")]
    Kafka {
        /// Name of the projection.
        projection: &'static str,
        /// The cause.
        source: KafkaError,
    },
    /// Records were removed before they were read.
    #[error(
        "projection {projection}: a partition's next record is not there any more ({problem}); its topic was made \
         anew or its retention is too short. compare with the store, then move the offset by aqueduct.offsets_set"
    )]
    OffsetGone {
        /// Name of the projection.
        projection: &'static str,
        /// What the client said.
        problem: String,
    },
    /// A batch could not be applied.
    #[error("projection {projection} stopped")]
    Batch {
        /// Name of the projection.
        projection: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ProjectionError {
    /// A property that the client refuses is named without its value, which may be a password.
    pub(crate) fn kafka(projection: &'static str, error: KafkaError) -> Self {
        let source = match error {
            // librdkafka's own text shows values only of properties that have a list of them.
            KafkaError::ClientConfig(result, text, property, _) => {
                KafkaError::ClientConfig(result, text, property, "(its value is not shown)".to_owned())
            }
            other => other,
        };
        Self::Kafka { projection, source }
    }

    pub(crate) fn batch(projection: &'static str, error: BatchError) -> Self {
        Self::Batch { projection, source: Box::new(error) }
    }
}
