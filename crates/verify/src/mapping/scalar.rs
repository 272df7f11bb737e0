//! Texts and numbers of the metadata.

use crate::json::Json;

/// Longest text or number that is read, in bytes.
const LONGEST: usize = 1024;

/// The text, or the digits of the number; true for a number. None if it is neither, or too long.
pub(crate) fn scalar(json: &Json) -> Option<(&str, bool)> {
    let found = match json {
        Json::Text(Some(text)) => (text.as_str(), false),
        Json::Number(digits) => (digits.as_str(), true),
        _ => return None,
    };
    (found.0.len() <= LONGEST).then_some(found)
}

/// An id of any form: a text that is not empty, or a number.
pub(crate) fn id(json: &Json) -> Option<String> {
    scalar(json).map(|(text, _)| text.to_owned()).filter(|id| !id.is_empty())
}

/// A schema version: a whole number from 1 on, `2` or `2.0`, or a text of digits.
pub(crate) fn version(json: &Json) -> Option<u32> {
    let (text, is_number) = scalar(json)?;
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if is_number && fraction.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    version_of_digits(whole)
}

/// A text of digits only, as a version from 1 on.
pub(crate) fn version_of_digits(text: &str) -> Option<u32> {
    let is_digits = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|version| is_digits && *version > 0)
}
