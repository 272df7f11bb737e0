//! Rows as the parameters from which Postgres makes their values.

use serde_json::Value;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::model::cells::{Cell, Cells};
use crate::model::column_type::ColumnType;
use crate::model::table::Table;
use crate::model::table_change::NoChange;
use crate::postgres::text_array::TextArray;

/// Most rows fit into this.
const USUAL_BYTES: usize = 256;

/// The values of a column, one for each row.
#[derive(Debug)]
pub(crate) enum ColumnArray {
    Texts(TextArray),
    /// Of a column of whole numbers: Postgres need not parse them.
    Integers(Vec<Option<i64>>),
}

impl ColumnArray {
    pub(crate) fn new(column_type: ColumnType) -> Self {
        if column_type.is_integer() { Self::Integers(Vec::new()) } else { Self::Texts(TextArray::default()) }
    }

    /// The type of the parameter.
    pub(crate) fn sql_type(column_type: ColumnType) -> &'static str {
        if column_type.is_integer() { "bigint[]" } else { "text[]" }
    }

    pub(crate) fn push(&mut self, column_type: ColumnType, cell: Cell<'_>) -> Result<(), NoChange> {
        match (self, cell) {
            (Self::Integers(numbers), Cell::Null) => numbers.push(None),
            (Self::Integers(numbers), Cell::Integer(number)) => numbers.push(Some(number)),
            (Self::Integers(numbers), Cell::Text(text)) => {
                let number = text.parse().map_err(|_| NoChange::Unsupported("type"))?;
                numbers.push(Some(number));
            }
            (Self::Integers(_), _) => return Err(NoChange::Unsupported("type")),
            (Self::Texts(texts), cell) => {
                let text = column_type.text(cell).ok_or(NoChange::Unsupported("type"))?;
                texts.push(text.as_deref());
            }
        }
        Ok(())
    }
}

impl From<TextArray> for ColumnArray {
    fn from(texts: TextArray) -> Self {
        Self::Texts(texts)
    }
}

impl Type<Postgres> for ColumnArray {
    fn type_info() -> PgTypeInfo {
        TextArray::type_info()
    }
}

impl Encode<'_, Postgres> for ColumnArray {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Texts(texts) => texts.encode_by_ref(buffer),
            Self::Integers(numbers) => numbers.encode_by_ref(buffer),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self {
            Self::Texts(_) => TextArray::type_info(),
            Self::Integers(_) => <Vec<Option<i64>> as Type<Postgres>>::type_info(),
        })
    }
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
            let text = value.and_then(|value| column_type.text(value.into())).flatten();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_sent_as_such_where_the_column_has_them() {
        let pushed = |column_type, value: Value| {
            let mut array = ColumnArray::new(column_type);
            array.push(column_type, (&value).into()).ok().map(|()| array)
        };
        for column_type in [ColumnType::SmallInt, ColumnType::Integer, ColumnType::BigInt] {
            for (value, expected) in [(json!(7), Some(7)), (json!("-7"), Some(-7)), (json!(null), None)] {
                let Some(ColumnArray::Integers(numbers)) = pushed(column_type, value) else { panic!() };
                assert_eq!(numbers, [expected]);
            }
            for value in [json!(" 7"), json!(7.5), json!(u64::MAX), json!(true), json!([7])] {
                assert!(pushed(column_type, value.clone()).is_none(), "{column_type:?} {value}");
            }
        }
        let Some(ColumnArray::Texts(texts)) = pushed(ColumnType::Numeric(None), json!(7)) else { panic!() };
        let mut expected = TextArray::default();
        expected.push(Some("7"));
        assert_eq!(texts, expected);
    }
}
