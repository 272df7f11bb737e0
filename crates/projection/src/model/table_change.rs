//! What a batch changes in a table, for the single statement that writes the batch.

use std::sync::Arc;

use crate::inbox::statement::statement;
use crate::model::column_array::ColumnArray;
use crate::model::error::ApplyError;

/// What a batch changes in a table.
#[derive(Debug)]
pub(crate) struct TableChange {
    /// See [`statement`](crate::inbox::statement::statement).
    pub(crate) statement: Arc<str>,
    /// The parameters after those of the inbox.
    pub(crate) arrays: Vec<ColumnArray>,
    pub(crate) rows: WrittenRows,
}

impl TableChange {
    /// The statement of a batch writes no table.
    pub(crate) fn none() -> Self {
        Self { statement: statement("", "true"), arrays: Vec::new(), rows: WrittenRows::default() }
    }
}

/// The rows that a change writes.
#[derive(Debug, Default)]
pub(crate) struct WrittenRows {
    /// How often rows were forgotten before the change was made. Rows that were forgotten since then are not remembered.
    pub(crate) forgotten: u64,
    /// JSON of the keys, with the rows as they are stored; `None` where that is not known.
    pub(crate) rows: Vec<(String, Option<Box<str>>)>,
}

/// Why a batch cannot be written by one statement, before it was tried.
#[derive(Debug)]
pub(crate) enum NoChange {
    /// The table or a value is of a kind for which there is no such statement. The label of a metric.
    Unsupported(&'static str),
    /// The rows could not be read, or the projection's code failed.
    Failed(ApplyError),
}

impl<E: Into<ApplyError>> From<E> for NoChange {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
