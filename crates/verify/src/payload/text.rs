//! Bytes and UUIDs in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number::whole;
use crate::json::Json;

/// Base64 with padding, or an object as Newtonsoft or Node's Buffer write one.
pub(super) fn bytes(json: &Json) -> Option<Vec<u8>> {
    match json {
        Json::Text(Some(text)) => STANDARD.decode(text).ok(),
        Json::Object(fields) => match two(fields)? {
            ("$type", Json::Text(Some(of)), "$value", value @ Json::Text(_))
                if of.starts_with("System.Byte[]") =>
            {
                bytes(value)
            }
            ("type", Json::Text(Some(of)), "data", Json::Array(items)) if of == "Buffer" => {
                items.iter().map(|item| whole(item).and_then(|byte| u8::try_from(byte).ok())).collect()
            }
            _ => None,
        },
        _ => None,
    }
}

/// The items of an array, also where Newtonsoft has put its type beside it.
pub(super) fn items(json: &Json) -> Option<&[Json]> {
    match json {
        Json::Array(items) => Some(items),
        Json::Object(fields) => match two(fields)? {
            ("$type", Json::Text(Some(_)), "$values", Json::Array(items)) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

/// Keys and values of an object of two.
fn two(fields: &[(Option<String>, Json)]) -> Option<(&str, &Json, &str, &Json)> {
    match fields {
        [(Some(first), one), (Some(second), other)] => Some((first, one, second, other)),
        _ => None,
    }
}

/// The hyphenated form in lower case.
pub(super) fn uuid(json: &Json) -> Option<String> {
    let text = json.as_text()?;
    let fits = |(n, byte): (usize, u8)| {
        if matches!(n, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() }
    };
    (text.len() == 36 && text.bytes().enumerate().all(fits)).then(|| text.to_ascii_lowercase())
}

/// The 16 bytes of a UUID.
pub(super) fn uuid_bytes(uuid: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = uuid.chars().filter(|digit| *digit != '-').collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    digits.chunks(2).map(byte).collect()
}
