//! Rows as the texts from which Postgres makes their values.

use serde_json::{Map, Value};

use crate::model::column_type::ColumnType;
use crate::model::table::Table;
use crate::model::table_change::NoChange;
use crate::postgres::text_array::TextArray;

/// Most rows fit into this.
const USUAL_BYTES: usize = 256;

/// Appends the values of a row, whose columns have these types, to the arrays of the columns.
pub(crate) fn push_texts(
    row: &Map<String, Value>,
    types: &[ColumnType],
    arrays: &mut [TextArray],
) -> Result<(), NoChange> {
    for ((value, column_type), array) in row.values().zip(types).zip(arrays) {
        // Most columns are whole numbers.
        if let Some(number) = value.as_i64()
            && *column_type != ColumnType::Compound
        {
            array.push(Some(itoa::Buffer::new().format(number)));
        } else {
            let text = column_type.text(value).ok_or(NoChange::Unsupported("type"))?;
            array.push(text.as_deref());
        }
    }
    Ok(())
}

impl Table {
    /// Appends the values of a key, in the order of its columns, to the arrays of these columns.
    pub(crate) fn push_key<'v>(
        &self,
        values: impl Iterator<Item = Option<&'v Value>>,
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
    pub(crate) fn stored_json(&self, row: &Map<String, Value>, types: &[ColumnType]) -> Option<Box<str>> {
        if row.len() != self.columns.len() {
            return None;
        }
        let mut json = Vec::with_capacity(USUAL_BYTES);
        for ((column, value), column_type) in row.iter().zip(types) {
            json.push(if json.is_empty() { b'{' } else { b',' });
            // The names are plain: they need no escapes.
            json.push(b'"');
            json.extend_from_slice(column.as_bytes());
            json.extend_from_slice(b"\":");
            serde_json::to_writer(&mut json, &*column_type.stored(value)?).ok()?;
        }
        json.push(b'}');
        String::from_utf8(json).ok().map(Into::into)
    }

    pub(crate) fn column_type(&self, column: &str) -> ColumnType {
        self.columns.get(column).map_or(ColumnType::Compound, |column| column.column_type)
    }
}
