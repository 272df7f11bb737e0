//! The values of a column as a parameter.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::model::cells::Cell;
use crate::model::column_type::ColumnType;
use crate::postgres::text_array::TextArray;

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

    /// Appends a value; `None` if only Postgres can convert it.
    pub(crate) fn push(&mut self, column_type: ColumnType, cell: Cell<'_>) -> Option<()> {
        match (self, cell) {
            (Self::Integers(numbers), Cell::Null) => numbers.push(None),
            (Self::Integers(numbers), Cell::Integer(number)) => numbers.push(Some(number)),
            (Self::Integers(numbers), Cell::Text(text)) => {
                numbers.push(Some(text.parse().ok()?));
            }
            (Self::Integers(_), _) => return None,
            (Self::Texts(texts), cell) => texts.push(column_type.text(cell)?.as_deref()),
        }
        Some(())
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whole_numbers_are_sent_as_such_where_the_column_has_them() {
        let pushed = |column_type, value: Value| {
            let mut array = ColumnArray::new(column_type);
            array.push(column_type, (&value).into()).map(|()| array)
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
