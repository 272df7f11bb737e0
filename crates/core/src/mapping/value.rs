//! Scalars as JSON text: versions and ids.

use std::borrow::Cow;

/// Longest value that is read, in bytes of its text.
pub(crate) const MAX_BYTES: usize = 1024;

/// A JSON value that is not null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// A number, as it is written.
    Number(&'a str),
    /// A text, unescaped.
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// Reads the text of a JSON value. The error says what the value is and contains nothing of it.
    pub(crate) fn parse(json: &'a str) -> Result<Self, &'static str> {
        // Each byte of a text takes at most six in JSON (\u0041).
        if json.len() > 6 * MAX_BYTES + 2 {
            return Err(TOO_LONG);
        }
        let scalar = match json.as_bytes().first() {
            Some(b'"') => Self::Text(unescape(json)?),
            Some(b'{') => return Err("is an object"),
            Some(b'[') => return Err("is an array"),
            Some(b't' | b'f') => return Err("is a boolean"),
            _ => Self::Number(json),
        };
        if scalar.as_str().len() > MAX_BYTES {
            return Err(TOO_LONG);
        }
        Ok(scalar)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Number(digits) => digits,
            Self::Text(text) => text,
        }
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Number(digits) => Cow::Borrowed(digits),
            Self::Text(text) => text,
        }
    }
}

const TOO_LONG: &str = "is longer than 1 KiB";

fn unescape(json: &str) -> Result<Cow<'_, str>, &'static str> {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    if inner.contains('\\') {
        let text = serde_json::from_str(json).map_err(|_| "contains a lone surrogate")?;
        Ok(Cow::Owned(text))
    } else {
        Ok(Cow::Borrowed(inner))
    }
}

/// A schema version: a whole number from 1 on, as a number or as a text of digits.
pub(crate) fn version(json: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str = "is not a whole number from 1 to 4294967295";
    let scalar = Scalar::parse(json)?;
    let whole = match &scalar {
        // Serializers write a double or a decimal that is whole as 1.0.
        Scalar::Number(number) => number.split_once('.').map_or(*number, |(whole, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') { whole } else { number }
        }),
        Scalar::Text(text) => text,
    };
    digits(whole).filter(|version| *version > 0).ok_or(EXPECTED)
}

/// The number that a text of digits only stands for.
pub(crate) fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An id: a text that is not empty, or a number as its digits.
pub(crate) fn id(json: &str) -> Result<Cow<'_, str>, &'static str> {
    let id = Scalar::parse(json)?.into_text();
    if id.is_empty() { Err("is empty") } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_a_text_of_digits() {
        for (json, expected) in
            [("1", 1), ("\"2\"", 2), ("4294967295", u32::MAX), ("3.0", 3), (r#""\u0037""#, 7)]
        {
            assert_eq!(version(json), Ok(expected), "{json}");
        }
        let wrong = [
            "0",
            "-1",
            "1.5",
            "1e0",
            "4294967296",
            "\"\"",
            "\"+1\"",
            "\"v2\"",
            "\"1.0\"",
            "true",
            "{}",
            "[1]",
            "\" 1\"",
        ];
        for json in wrong {
            assert!(version(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_id_is_a_text_of_any_form_or_the_digits_of_a_number() {
        assert_eq!(id("\"auth0|5f\"").unwrap(), "auth0|5f");
        assert_eq!(id(r#""\u00C5se""#).unwrap(), "Åse");
        assert_eq!(id("18446744073709551616").unwrap(), "18446744073709551616");
        assert_eq!(id("1.50").unwrap(), "1.50");
        assert_eq!(id("\"\""), Err("is empty"));
        assert_eq!(id("false"), Err("is a boolean"));
        assert_eq!(id(r#""\ud83d""#), Err("contains a lone surrogate"));
    }

    #[test]
    fn a_value_has_at_most_one_kibibyte() {
        let of = |length: usize| format!("\"{}\"", "a".repeat(length));
        assert!(id(&of(1024)).is_ok());
        assert_eq!(id(&of(1025)), Err(TOO_LONG));
        assert!(id(&format!("\"{}\"", r"\u0041".repeat(1024))).is_ok());
        assert_eq!(id(&format!("\"{}\"", r"\u00C5".repeat(513))), Err(TOO_LONG));
        assert_eq!(id(&of(1 << 20)), Err(TOO_LONG));
        assert_eq!(id(&"1".repeat(1025)), Err(TOO_LONG));
    }

    #[test]
    fn a_plain_text_is_not_copied() {
        assert!(matches!(id("\"plain\"").unwrap(), Cow::Borrowed(_)));
    }
}
