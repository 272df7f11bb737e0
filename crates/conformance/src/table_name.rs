//! Names of tables.

use std::fmt;

use serde::Deserialize;

/// `schema.table`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    /// For SQL, which has no parameters for names.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\".\"{}\"", self.schema, self.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl TryFrom<String> for TableName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, table)) if is_name(schema) && is_name(table) => {
                Ok(Self { schema: schema.to_owned(), table: table.to_owned() })
            }
            _ => Err(format!("\"{text}\" is not SCHEMA.TABLE of letters, digits and _")),
        }
    }
}

/// Whether a text is a name that needs no escapes between quotes.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_end_its_quotes_is_refused() {
        let name = TableName::try_from("shop_python.orders".to_owned()).unwrap();
        assert_eq!(name.quoted(), "\"shop_python\".\"orders\"");
        for text in ["orders", "a.b.c", "a.", ".b", "a.b\"; drop table c; --"] {
            TableName::try_from(text.to_owned()).unwrap_err();
        }
    }
}
