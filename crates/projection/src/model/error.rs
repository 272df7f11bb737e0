//! Errors of a projection's code and of its table.

use std::path::PathBuf;

use aqueduct_core::ErrorKind;
use aqueduct_schema::VersionError;

use crate::inbox::reason_code::ReasonCode;
use crate::postgres::error::{error_kind, is_cancelled};
use crate::sql::error::DefinitionError;

/// A table that its projection cannot write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A name in the projection's definition cannot be used in a statement as it is.
    #[error("projection {projection}: {name:?} is not a lower-case SQL name; use letters, digits and _")]
    Name {
        /// Name of the projection.
        projection: &'static str,
        /// The name as the definition has it.
        name: &'static str,
    },
    /// The table does not exist.
    #[error("projection {projection}: table {table} does not exist; run the migrations that create it")]
    Missing {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
    },
    /// The definition, or a row, names a column that the table does not have, or that is generated, or for
    /// deltas is neither key nor sum.
    #[error(
        "projection {projection}: table {table} has no column {column:?} that the projection can write; \
         add it, or remove it from the row"
    )]
    NoColumn {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
        /// Name of the column.
        column: String,
    },
    /// The table requires a value in a column that the rows do not name.
    #[error(
        "projection {projection}: table {table} requires a value in column {column:?}, which the projection's \
         rows do not have; give the column a default, make it nullable, or add it to the row"
    )]
    Required {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
        /// Name of the column.
        column: String,
    },
    /// A row does not serialise to a JSON object.
    #[error("projection {projection}: a row of {table} must serialise to a JSON object")]
    NoObject {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
    },
    /// A key with too few or too many values.
    #[error("projection {projection}: a key of {table} needs {expected} values, it has {actual}")]
    KeyLength {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
        /// Number of key columns.
        expected: usize,
        /// Number of values.
        actual: usize,
    },
    /// Postgres refuses a statement of an SQL projection.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A statement of an SQL projection reads what its events do not have.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The migrations of an SQL projection were not run, or are not those that were.
    #[error("projection {projection}: {problem}")]
    Migrations {
        /// Name of the projection.
        projection: &'static str,
        /// The file, what is wrong with it, and what to do.
        problem: String,
    },
    /// Which migrations of an SQL projection were run could not be read.
    #[error(
        "projection {projection}: which of its migrations were run could not be read from aqueduct.migrations_{projection}, which its \
         role must be allowed to select"
    )]
    History {
        /// Name of the projection.
        projection: &'static str,
        /// Postgres's error.
        source: sqlx::Error,
    },
    /// A version for which SQL files are written, or what a topic carries, is not known.
    #[error("{}", path.display())]
    Version {
        /// The file that names it.
        path: PathBuf,
        /// Why.
        source: VersionError,
    },
    /// A topic carries event types about which an SQL projection says nothing.
    #[error("{}: topic {topic} carries {types}: name them in types or in ignored", path.display())]
    UnknownTypes {
        /// `projection.toml`.
        path: PathBuf,
        /// Name of the topic.
        topic: String,
        /// The types, separated by commas.
        types: String,
    },
    /// The columns could not be read from Postgres.
    #[error("projection {projection}: the columns of table {table} could not be read")]
    Postgres {
        /// Name of the projection.
        projection: &'static str,
        /// Name of the table, with its schema where the definition gives one.
        table: &'static str,
        /// Postgres's error.
        source: sqlx::Error,
    },
}

/// A statement of an SQL projection failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{} failed", path.display(), .line.map_or(String::new(), |line| format!(", line {line}")))]
pub struct StatementError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where Postgres names a place.
    pub line: Option<usize>,
    /// Postgres's error.
    pub source: sqlx::Error,
}

/// Why an event could not be handled, and what to do with it.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ReactError {
    kind: ErrorKind,
    problem: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ReactError {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self { kind, problem: problem.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused_by(
        kind: ErrorKind,
        problem: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, problem: problem.into(), source: Some(source.into()) }
    }

    /// [`Retry`](ErrorKind::Retry): the event is retried in place, with backoff, for as long as it takes;
    /// [`Park`](ErrorKind::Park): it is parked with the later events of its stream;
    /// [`Stop`](ErrorKind::Stop): the projection halts with this error, and the event is delivered again after a
    /// restart.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Why a projector could not apply an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// A statement failed. Its SQLSTATE decides: data and constraints (classes 21, 22, 23, 44, 54, P0) park the event, and so does
    /// a row that was not found; what passes, such as a deadlock or a lost connection, is tried again; everything else halts the
    /// projection.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// The event cannot be applied, for this reason: it is parked with the later events of its stream.
    #[error("{0}")]
    Rejected(String),
}

/// The rows of a batch could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("reading or writing the rows failed")]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(
        "{}: the event touched no row: what it changes does not exist; if that is right, add the comment -- rows: any",
        path.display()
    )]
    NoRow { path: PathBuf },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(
        "a row of {table} cannot be converted from or to JSON: the view's row type and the table's columns differ"
    )]
    Row { table: &'static str, source: serde_json::Error },
    #[error("the projection's code panicked: {0}")]
    Panicked(String),
    #[error("the projector rejected the event: {0}")]
    Rejected(String),
    #[error(
        "the projector ended the transaction of its batch: what it committed is stored, and the later events of the batch count as          applied although they are not; correct the code, and the rows"
    )]
    TransactionEnded,
}

impl From<ProjectError> for ApplyError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Postgres(sqlx::Error::RowNotFound) => {
                Self::Rejected("a row that it needs was not found".to_owned())
            }
            ProjectError::Postgres(error) => Self::Postgres(error),
            ProjectError::Rejected(reason) => Self::Rejected(reason),
        }
    }
}

impl ApplyError {
    /// [`ErrorKind::Park`]: one record of the batch is at fault.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Postgres(error) | Self::Statement(StatementError { source: error, .. }) => {
                error_kind(error)
            }
            Self::Table(_) | Self::Row { .. } | Self::TransactionEnded => ErrorKind::Stop,
            Self::Panicked(_) | Self::Rejected(_) | Self::NoRow { .. } => ErrorKind::Park,
        }
    }

    /// Whether Postgres cancelled the statement.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.postgres().is_some_and(is_cancelled)
    }

    /// Postgres's error, if it is one.
    pub(crate) fn postgres(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Postgres(error) | Self::Statement(StatementError { source: error, .. }) => Some(error),
            _ => None,
        }
    }

    /// Why the record is parked.
    pub(crate) fn code(&self) -> ReasonCode {
        match self {
            Self::Panicked(_) => ReasonCode::Panic,
            Self::Postgres(_)
            | Self::Statement(_)
            | Self::NoRow { .. }
            | Self::Table(_)
            | Self::Row { .. }
            | Self::TransactionEnded
            | Self::Rejected(_) => ReasonCode::Row,
        }
    }
}
