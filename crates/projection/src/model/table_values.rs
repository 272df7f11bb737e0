//! Keys and rows of a table as the values that Postgres takes and returns.

use crate::model::cells::{Cell, Cells};
use crate::model::column_type::ColumnType;
use crate::model::table::Table;
use crate::model::table_change::NoChange;
use crate::postgres::text_array::TextArray;

/// Most rows fit into this.
const USUAL_BYTES: usize = 256;

impl Table {
    /// Appends the values of a key, in the order of its columns, to the arrays of these columns.
    pub(crate) fn push_key<'v>(
        &self,
        values: impl Iterator<Item = Option<Cell<'v>>>,
        arrays: &mut [TextArray],
    ) -> Result<(), NoChange> {
        for ((column, value), array) in self.key.iter().zip(values).zip(arrays) {
            let column_type = self.column_type(column);
            let text = value.and_then(|value| column_type.text(value)).flatten();
            // A null equals no other.
            let text = text.filter(|_| column_type.is_key()).ok_or(NoChange::Unsupported("key"))?;
            array.push(Some(&text));
        }
        Ok(())
    }

    /// The row as Postgres will return it; `None` if only Postgres knows that: it has columns which the row leaves out, or a
    /// type that changes values.
    pub(crate) fn stored_json(&self, row: &Cells, types: &[ColumnType]) -> Option<Box<str>> {
        if row.len() != self.columns.len() {
            return None;
        }
        let mut json = Vec::with_capacity(USUAL_BYTES);
        for ((column, cell), column_type) in row.names().zip(row.cells()).zip(types) {
            json.push(if json.is_empty() { b'{' } else { b',' });
            // The names are plain: they need no escapes.
            json.push(b'"');
            json.extend_from_slice(column.as_bytes());
            json.extend_from_slice(b"\":");
            column_type.write_stored(cell, &mut json)?;
        }
        json.push(b'}');
        String::from_utf8(json).ok().map(Into::into)
    }

    pub(crate) fn column_type(&self, column: &str) -> ColumnType {
        self.columns.get(column).map_or(ColumnType::Compound, |column| column.column_type)
    }
}
