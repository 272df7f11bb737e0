//! Arrays of texts as parameters.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// OID of `text`, the same in every database.
const TEXT: i32 = 25;

/// An array of texts, some of them null, in the binary form of the protocol. It is written while it is filled: a batch has
/// thousands of values, and a `Vec<Option<String>>` would allocate each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TextArray {
    /// Length and bytes of each element; -1 is null.
    elements: Vec<u8>,
    length: usize,
    has_null: bool,
}

impl TextArray {
    pub(crate) fn push(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.elements.extend_from_slice(&(text.len() as i32).to_be_bytes());
                self.elements.extend_from_slice(text.as_bytes());
            }
            None => {
                self.elements.extend_from_slice(&(-1_i32).to_be_bytes());
                self.has_null = true;
            }
        }
        self.length += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Type<Postgres> for TextArray {
    fn type_info() -> PgTypeInfo {
        <[String] as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for TextArray {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let dimensions = i32::from(!self.is_empty());
        for number in [dimensions, i32::from(self.has_null), TEXT] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        if !self.is_empty() {
            // The only dimension: its length, and the index of its first element.
            for number in [self.length as i32, 1] {
                buffer.extend_from_slice(&number.to_be_bytes());
            }
            buffer.extend_from_slice(&self.elements);
        }
        Ok(IsNull::No)
    }
}
