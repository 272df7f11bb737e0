//! A record's headers as they were received.

use std::ops::Range;

use aqueduct_kafka::{RawHeader, raw_headers};
use rdkafka::message::BorrowedHeaders;
use serde_json::{Value, json};

use crate::record::envelope::Envelope;
use crate::record::known_header::KnownHeader;
use crate::record::read_envelope::{Found, HeaderError};

/// The values of the headers that the relay writes fit into this, so that a record needs two allocations for its headers.
const USUAL_BYTES: usize = 480;
const USUAL_COUNT: usize = 15;

/// The headers of a record as they were received: names may repeat, values may be binary. They share one buffer,
/// because a record has fifteen headers and a batch a thousand records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    /// The value of each header, before it its name if it is not a known one.
    bytes: Vec<u8>,
    headers: Vec<Header>,
    /// Number of further headers whose names are not UTF-8, which the client cannot read.
    unreadable: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    name: Name,
    /// Length of the value, if there is one.
    value: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    Known(KnownHeader),
    /// Length of the name.
    Other(usize),
}

impl Headers {
    pub(crate) fn copy(borrowed: Option<&BorrowedHeaders>) -> Self {
        let Some(borrowed) = borrowed else { return Self::default() };
        let mut headers = Self {
            bytes: Vec::with_capacity(USUAL_BYTES),
            headers: Vec::with_capacity(USUAL_COUNT),
            unreadable: 0,
        };
        for RawHeader { name, value } in raw_headers(borrowed) {
            match KnownHeader::of(name) {
                Some(known) => headers.push_value(Name::Known(known), value),
                None => match std::str::from_utf8(name) {
                    Ok(name) => headers.push_other(name, value),
                    Err(_) => headers.unreadable += 1,
                },
            }
        }
        headers
    }

    /// Appends a header.
    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        match KnownHeader::of(name.as_bytes()) {
            Some(known) => self.push_value(Name::Known(known), value),
            None => self.push_other(name, value),
        }
    }

    fn push_other(&mut self, name: &str, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.push_value(Name::Other(name.len()), value);
    }

    fn push_value(&mut self, name: Name, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.headers.push(Header { name, value: value.map(<[u8]>::len) });
    }

    /// Names and values in the order of the record.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.parts().map(|(name, value)| {
            let name = match name {
                Ok(known) => known.name(),
                // Written from a `&str`.
                Err(other) => std::str::from_utf8(&self.bytes[other]).unwrap_or_default(),
            };
            (name, value.map(|value| &self.bytes[value]))
        })
    }

    /// Which known header each is, or else where its name is, and where its value is.
    fn parts(&self) -> impl Iterator<Item = (Result<KnownHeader, Range<usize>>, Option<Range<usize>>)> {
        let mut end = 0;
        let mut next = move |length| {
            let start = end;
            end += length;
            start..end
        };
        self.headers.iter().map(move |Header { name, value }| {
            let name = match name {
                Name::Known(known) => Ok(*known),
                Name::Other(length) => Err(next(*length)),
            };
            (name, value.map(&mut next))
        })
    }

    /// The form in which they are stored with a parked event; [`from_json`](Self::from_json) reads it.
    pub(crate) fn to_json(&self) -> Value {
        let header = |(name, value): (&str, Option<&[u8]>)| match value.map(std::str::from_utf8) {
            None => json!({ "name": name, "value": null }),
            // Postgres' JSON cannot hold a NUL.
            Some(Ok(text)) if !text.contains('\0') => json!({ "name": name, "value": text }),
            Some(_) => json!({ "name": name, "hex": hex(value.unwrap_or_default()) }),
        };
        let unreadable = (0..self.unreadable).map(|_| json!({ "unreadable": true }));
        self.iter().map(header).chain(unreadable).collect()
    }

    /// Reads what [`to_json`](Self::to_json) wrote. `None` if it is something else.
    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let mut headers = Self::default();
        for header in json.as_array()? {
            if header.get("unreadable").is_some() {
                headers.unreadable += 1;
                continue;
            }
            let name = header.get("name")?.as_str()?;
            match (header.get("value"), header.get("hex")) {
                (Some(Value::Null), None) => headers.push(name, None),
                (Some(Value::String(text)), None) => headers.push(name, Some(text.as_bytes())),
                (None, Some(Value::String(digits))) => headers.push(name, Some(&from_hex(digits)?)),
                _ => return None,
            }
        }
        Some(headers)
    }

    /// Reads the envelope. `key` is the record's key, which must be the stream.
    pub(crate) fn envelope(&self, key: Option<&[u8]>) -> Result<Envelope, HeaderError> {
        if self.unreadable > 0 {
            // It may be a damaged header of those that identify the event.
            return Err(HeaderError::UnreadableNames(self.unreadable));
        }
        let mut found = Found::default();
        // Looked at as a whole, which takes less time than each of fourteen short values.
        let text = std::str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'));
        for (name, value) in self.parts() {
            let Ok(header) = name else { continue };
            let value = value.ok_or(HeaderError::Missing(header.name()))?;
            match text.and_then(|text| text.get(value.clone())) {
                Some(text) => found.put(header, text)?,
                None => found.put_bytes(header, &self.bytes[value])?,
            }
        }
        found.envelope(key)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_headers_are_preserved() {
        let mut headers = Headers::default();
        headers.push("a", Some(b"text"));
        headers.push("a", None);
        headers.push("", Some(b""));
        headers.push("b", Some(&[0xff, 0]));
        let seen: Vec<_> = headers.iter().collect();
        assert_eq!(
            seen,
            [("a", Some(b"text".as_slice())), ("a", None), ("", Some(b"")), ("b", Some(&[0xff, 0]))]
        );
        assert_eq!(
            headers.to_json(),
            json!([
                { "name": "a", "value": "text" },
                { "name": "a", "value": null },
                { "name": "", "value": "" },
                { "name": "b", "hex": "ff00" },
            ])
        );
        assert_eq!(Headers::from_json(&headers.to_json()), Some(headers));
    }

    #[test]
    fn headers_with_unreadable_names_stay_unreadable_when_they_are_stored() {
        let headers = Headers { unreadable: 2, ..Headers::default() };
        assert_eq!(Headers::from_json(&headers.to_json()), Some(headers));
        assert_eq!(Headers::from_json(&json!([{ "name": "a", "hex": "g0" }])), None);
    }
}
