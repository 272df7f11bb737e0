//! Text, bytes and UUIDs: what is accepted, and the one form that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::mapping::mismatch::Mismatch;

pub(crate) fn text<'a>(json: &'a Value, what: &str) -> Result<&'a str, Mismatch> {
    json.as_str().ok_or_else(|| Mismatch::expected(what, json))
}

pub(crate) fn bytes(json: &Value) -> Result<Vec<u8>, Mismatch> {
    BASE64
        .decode(text(json, "bytes in base64")?)
        .map_err(|error| Mismatch::new(format!("not base64 with padding: {error}")))
}

pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn uuid(text: &str) -> Result<uuid::Uuid, Mismatch> {
    let parsed = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    parsed.ok_or_else(|| Mismatch::new(format!("{:?} is not a UUID in hyphenated form", shortened(text))))
}

/// Enough of a text to recognise it in an error.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
