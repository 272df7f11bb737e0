//! What the type of a column does to a value that is written to it as text.

use std::borrow::Cow;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::cells::Cell;

/// The types that need to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    SmallInt,
    Integer,
    BigInt,
    Boolean,
    /// `text`, or `varchar` without a limit.
    Text,
    /// `varchar(n)`, with the number of characters.
    LimitedText(usize),
    /// With precision and scale, if the column has them.
    Numeric(Option<(u32, u32)>),
    Uuid,
    Date,
    /// Without a time zone; with the digits of the fraction.
    Timestamp(usize),
    /// `json` and `jsonb`.
    Json,
    /// Another type whose text is what its JSON string contains.
    Scalar,
    /// A type that JSON represents by something else: an array, a composite type. Only Postgres can convert it.
    Compound,
    /// Another text type, such as `char(n)`, which compares or stores in its own way.
    OtherText,
}

impl ColumnType {
    /// From `format_type` and `pg_type.typcategory`.
    pub(crate) fn parse(format: &str, category: &str) -> Self {
        match format {
            "smallint" => Self::SmallInt,
            "integer" => Self::Integer,
            "bigint" => Self::BigInt,
            "boolean" => Self::Boolean,
            "text" | "character varying" => Self::Text,
            "numeric" => Self::Numeric(None),
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "timestamp without time zone" => Self::Timestamp(6),
            "json" | "jsonb" => Self::Json,
            other => Self::parse_limited(other).unwrap_or(match category {
                "A" | "C" => Self::Compound,
                "S" => Self::OtherText,
                _ => Self::Scalar,
            }),
        }
    }

    /// A type with a limit in parentheses.
    fn parse_limited(format: &str) -> Option<Self> {
        let (name, rest) = format.split_once('(')?;
        let (limits, suffix) = rest.split_once(')')?;
        match (name, suffix) {
            ("character varying", "") => Some(Self::LimitedText(limits.parse().ok()?)),
            ("numeric", "") => {
                let (precision, scale) = limits.split_once(',')?;
                // A negative scale rounds whole digits: it does not parse, which makes it a scalar.
                Some(Self::Numeric(Some((precision.parse().ok()?, scale.parse().ok()?))))
            }
            ("timestamp", " without time zone") => Some(Self::Timestamp(limits.parse().ok()?)),
            _ => None,
        }
    }

    /// Whether a comparison of the column with a text of this type finds rows by the column's index.
    pub(crate) fn is_key(self) -> bool {
        !matches!(self, Self::Json | Self::Compound | Self::OtherText)
    }

    /// Whether its values are sent as whole numbers of 64 bits.
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::SmallInt | Self::Integer | Self::BigInt)
    }

    /// The text from which Postgres makes the value that it would make of the JSON; `None` if only Postgres knows.
    /// `Some(None)` is null.
    pub(crate) fn text(self, cell: Cell<'_>) -> Option<Option<Cow<'_, str>>> {
        let is_text = matches!(self, Self::Text | Self::LimitedText(_) | Self::OtherText);
        Some(match cell {
            Cell::Null => None,
            Cell::Text(text) if self == Self::Json => Some(json!(text).to_string().into()),
            Cell::Json(value) if self == Self::Json => Some(value.to_string().into()),
            _ if self == Self::Compound => return None,
            Cell::Bool(flag) => Some(if flag { "true" } else { "false" }.into()),
            Cell::Integer(number) => Some(itoa::Buffer::new().format(number).to_owned().into()),
            Cell::Text(text) => Some(text.into()),
            // Postgres writes the number in its own way.
            Cell::Json(Value::Number(number)) if is_text && number.is_f64() => return None,
            Cell::Json(Value::Number(number)) => Some(number.to_string().into()),
            Cell::Json(_) => return None,
        })
    }

    /// Appends the JSON as which Postgres returns a value once it is stored; `None` if only Postgres knows it.
    pub(crate) fn write_stored(self, cell: Cell<'_>, json: &mut Vec<u8>) -> Option<()> {
        match (self, cell) {
            (_, Cell::Null) => json.extend_from_slice(b"null"),
            (Self::Boolean, Cell::Bool(flag)) => {
                json.extend_from_slice(if flag { b"true" } else { b"false" })
            }
            (Self::SmallInt | Self::Integer | Self::BigInt, Cell::Integer(number)) => {
                json.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            (Self::Numeric(None), Cell::Integer(number)) => {
                json.push(b'"');
                json.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                json.push(b'"');
            }
            (_, Cell::Text(text)) if self.stores_unchanged(text) => serde_json::to_writer(json, text).ok()?,
            _ => return None,
        }
        Some(())
    }

    fn stores_unchanged(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::LimitedText(limit) => text.chars().count() <= limit,
            Self::Numeric(limits) => {
                let scale = decimal_scale(text);
                scale.is_some() && limits.is_none_or(|(_, limit)| scale == Some(limit as usize))
            }
            Self::Uuid => is_uuid(text),
            Self::Date => has_form(text, b"0000-00-00"),
            Self::Timestamp(digits) => is_timestamp(text, digits),
            _ => false,
        }
    }
}

/// Digits after the point of a decimal as Postgres writes it; `None` for any other text.
fn decimal_scale(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = !whole.is_empty()
        && (whole.len() == 1 || !whole.starts_with('0'))
        && is_number(whole)
        && is_number(fraction)
        && fraction.is_empty() != digits.contains('.')
        && (digits.len() == text.len() || digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')));
    is_canonical.then_some(fraction.len())
}

/// Whether a text has the punctuation of a form, in which `0` is any digit.
fn has_form(text: &str, form: &[u8]) -> bool {
    let fits = |(byte, expected): (u8, &u8)| match expected {
        b'0' => byte.is_ascii_digit(),
        expected => byte == *expected,
    };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

/// Without zeros at the end of its fraction, which has at most `digits` digits.
fn is_timestamp(text: &str, digits: usize) -> bool {
    let (seconds, fraction) =
        text.split_once('.').map_or((text, None), |(seconds, fraction)| (seconds, Some(fraction)));
    let is_canonical = |fraction: &str| {
        (1..=digits).contains(&fraction.len())
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
            && !fraction.ends_with('0')
    };
    // The hour 24 and the second 60 are carried over.
    has_form(seconds, b"0000-00-00T00:00:00")
        && seconds.get(11..13) != Some("24")
        && !seconds.ends_with("60")
        && fraction.is_none_or(is_canonical)
}

fn is_uuid(text: &str) -> bool {
    let written = |uuid: Uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
    Uuid::try_parse(text).is_ok_and(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(column: ColumnType, value: &Value) -> Option<Value> {
        let mut json = Vec::new();
        column.write_stored(value.into(), &mut json)?;
        Some(serde_json::from_slice(&json).unwrap())
    }

    #[test]
    fn types_are_told_apart_by_their_names() {
        for (format, category, expected) in [
            ("bigint", "N", ColumnType::BigInt),
            ("character varying", "S", ColumnType::Text),
            ("character varying(7)", "S", ColumnType::LimitedText(7)),
            ("character(7)", "S", ColumnType::OtherText),
            ("numeric(18,3)", "N", ColumnType::Numeric(Some((18, 3)))),
            ("numeric(18,-3)", "N", ColumnType::Scalar),
            ("timestamp without time zone", "D", ColumnType::Timestamp(6)),
            ("timestamp(3) without time zone", "D", ColumnType::Timestamp(3)),
            ("timestamp with time zone", "D", ColumnType::Scalar),
            ("double precision", "N", ColumnType::Scalar),
            ("text[]", "A", ColumnType::Compound),
            ("bank.address", "C", ColumnType::Compound),
        ] {
            assert_eq!(ColumnType::parse(format, category), expected, "{format}");
        }
    }

    #[test]
    fn a_value_is_known_once_stored_only_in_the_form_of_postgres() {
        use ColumnType::{BigInt, Boolean, Date, LimitedText, Numeric, Scalar, Text, Timestamp, Uuid};
        for (column, value) in [
            (BigInt, json!(null)),
            (BigInt, json!(-7)),
            (Boolean, json!(true)),
            (Text, json!("a")),
            (LimitedText(3), json!("äöü")),
            (Numeric(None), json!("-0.50")),
            (Numeric(None), json!("0.00")),
            (Numeric(Some((18, 3))), json!("12.340")),
            (Uuid, json!("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")),
            (Date, json!("2010-12-01")),
            (Timestamp(3), json!("2010-12-01T08:26:00")),
            (Timestamp(3), json!("2010-12-01T08:26:00.12")),
        ] {
            assert_eq!(stored(column, &value), Some(value), "{column:?}");
        }
        assert_eq!(stored(Numeric(None), &json!(5)), Some(json!("5")));
        for (column, value) in [
            (BigInt, json!("7")),
            (BigInt, json!(7.0)),
            (Text, json!(7)),
            (LimitedText(3), json!("äöü ")),
            (Numeric(None), json!("-0")),
            (Numeric(None), json!("007")),
            (Numeric(None), json!("1e3")),
            (Numeric(None), json!("1.")),
            (Numeric(None), json!(".5")),
            (Numeric(Some((18, 3))), json!("12.34")),
            (Uuid, json!("1B9D6BCD-bbfd-4b2d-9b5d-ab8dfbbd4bed")),
            (Date, json!("2010-12-1")),
            (Timestamp(3), json!("2010-12-01T08:26:00.1234")),
            (Timestamp(3), json!("2010-12-01T08:26:00.120")),
            (Timestamp(3), json!("2010-12-01T08:26:60")),
            (Timestamp(3), json!("2010-12-01T24:00:00")),
            (Timestamp(3), json!("2010-12-01T08:26:00Z")),
            (Scalar, json!("1")),
        ] {
            assert_eq!(stored(column, &value), None, "{column:?} {value}");
        }
    }
}
