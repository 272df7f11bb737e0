//! Text, bytes and UUIDs: what is accepted, and the one form that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::mapping::json::Json;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::number;

pub(crate) fn text<'j>(json: &'j Json<'_>, what: &str) -> Result<&'j str, Mismatch> {
    json.as_str().ok_or_else(|| Mismatch::expected(what, json))
}

/// Base64, or one of the objects that serializers write for bytes.
pub(crate) fn bytes(json: &Json<'_>) -> Result<Vec<u8>, Mismatch> {
    match json {
        Json::Object(members) => match members.as_slice() {
            // Newtonsoft with type names.
            [(annotation, Json::String(of)), (key, value @ Json::String(_))]
                if annotation == "$type" && of.starts_with("System.Byte[]") && key == "$value" =>
            {
                bytes(value)
            }
            // Node's Buffer.
            [(annotation, Json::String(of)), (key, Json::Array(items))]
                if annotation == "type" && of == "Buffer" && key == "data" =>
            {
                items.iter().map(byte).collect()
            }
            _ => Err(Mismatch::expected("bytes in base64", json)),
        },
        json => BASE64
            .decode(text(json, "bytes in base64")?)
            .map_err(|error| Mismatch::new(format!("not base64 with padding: {error}"))),
    }
}

fn byte(json: &Json<'_>) -> Result<u8, Mismatch> {
    let number = number::int(json)?;
    u8::try_from(number).map_err(|_| Mismatch::new(format!("{number} is not a byte")))
}

pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn uuid(text: &str) -> Result<uuid::Uuid, Mismatch> {
    let parsed = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    parsed.ok_or_else(|| Mismatch::new(format!("{:?} is not a UUID in hyphenated form", shortened(text))))
}
