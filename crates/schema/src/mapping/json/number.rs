//! JSON numbers with all their digits.

use std::borrow::Cow;

/// A JSON number.
#[derive(Debug)]
pub(crate) enum Number<'a> {
    /// Written as a whole number of 64 bits, and not as `-0`.
    Whole(i64),
    /// Any other number, as it was written.
    Text(Cow<'a, str>),
}

impl Number<'_> {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Whole(number) => number.to_string().into(),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Whether it has a fraction or an exponent, so that JSON parsers read it as a float.
    pub(crate) fn is_float(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Text(text) => text.contains(['.', 'e', 'E']) || text == "-0",
        }
    }
}

impl From<&serde_json::Number> for Number<'_> {
    fn from(number: &serde_json::Number) -> Self {
        match number.as_i64() {
            Some(whole) => Self::Whole(whole),
            None => Self::Text(number.to_string().into()),
        }
    }
}

/// Whether the text is a number in JSON's grammar.
pub(crate) fn is_number(text: &str) -> bool {
    number_length(text.as_bytes()) == Some(text.len())
}

/// The length of the number that the bytes begin with.
pub(crate) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = if bytes.get(start) == Some(&b'0') { start + 1 } else { digits(start)? };
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + sign)?;
    }
    Some(end)
}
