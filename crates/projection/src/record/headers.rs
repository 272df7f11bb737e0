//! A record's raw headers and how the envelope is read from them.

use std::str::FromStr;

use aqueduct_kafka::{RawHeader, raw_headers};
use rdkafka::message::BorrowedHeaders;
use serde_json::{Value, json};

use crate::record::envelope::{Envelope, Previous};

/// The headers that the relay writes fit into this, so that a record needs two allocations for them.
const USUAL_BYTES: usize = 640;
const USUAL_COUNT: usize = 15;

/// The headers of a record as they were received: names may repeat, values may be binary. They share one buffer,
/// because a record has fifteen headers and a batch a thousand records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    bytes: Vec<u8>,
    /// Length of the name, and of the value if there is one, per header.
    lengths: Vec<(usize, Option<usize>)>,
    /// Number of further headers whose names are not UTF-8, which the client cannot read.
    unreadable: usize,
}

impl Headers {
    pub(crate) fn copy(borrowed: Option<&BorrowedHeaders>) -> Self {
        let Some(borrowed) = borrowed else { return Self::default() };
        let mut headers = Self {
            bytes: Vec::with_capacity(USUAL_BYTES),
            lengths: Vec::with_capacity(USUAL_COUNT),
            unreadable: 0,
        };
        for RawHeader { name, value } in raw_headers(borrowed) {
            match std::str::from_utf8(name) {
                Ok(name) => headers.push(name, value),
                Err(_) => headers.unreadable += 1,
            }
        }
        headers
    }

    /// Appends a header.
    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.lengths.push((name.len(), value.map(<[u8]>::len)));
    }

    /// Names and values in the order of the record.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        // Written from a `&str`.
        self.raw().map(|(name, value)| (std::str::from_utf8(name).unwrap_or_default(), value))
    }

    fn raw(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |(name, value)| {
            let (name, after) = rest.split_at(*name);
            let (bytes, after) = after.split_at(value.unwrap_or_default());
            rest = after;
            (name, value.map(|_| bytes))
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
        for (name, value) in self.raw() {
            found.put(name, value)?;
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

/// Postgres' limit for an index entry is 2,704 bytes: this leaves room for the other columns.
const MAX_BYTES: usize = 1024;

/// Bytes as text that Postgres can store: cut to [`MAX_BYTES`], with `\u{fffd}` for what is not UTF-8 and for
/// NUL.
pub(crate) fn lossy_text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A record's headers do not describe an event.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum HeaderError {
    #[error("the names of {0} headers are not UTF-8")]
    UnreadableNames(usize),
    #[error("header {0} is missing")]
    Missing(&'static str),
    #[error("header {name} is {value:?}, expected {expected}")]
    Invalid { name: &'static str, value: String, expected: &'static str },
    #[error("the record's key is {key}, but header ce_subject names the stream {stream:?}")]
    Key { key: String, stream: String },
}

macro_rules! headers {
    ($($field:ident = $name:literal),+ $(,)?) => {
        /// The headers that are read, by name; the first of each name counts.
        #[derive(Default)]
        struct Found<'a> { $($field: Option<&'a str>),+ }

        impl<'a> Found<'a> {
            fn put(&mut self, name: &[u8], value: Option<&'a [u8]>) -> Result<(), HeaderError> {
                let (slot, name) = match name {
                    $(it if it == $name.as_bytes() => (&mut self.$field, $name),)+
                    _ => return Ok(()),
                };
                let Some(value) = value else { return Err(HeaderError::Missing(name)) };
                let fits = |text: &&str| text.len() <= MAX_BYTES && !text.contains('\0');
                let text = std::str::from_utf8(value).ok().filter(fits);
                let invalid = || HeaderError::Invalid {
                    name,
                    value: lossy_text(value),
                    expected: "text in UTF-8 of at most 1024 bytes without NUL",
                };
                slot.get_or_insert(text.ok_or_else(invalid)?);
                Ok(())
            }
        }
    };
}

headers! {
    specversion = "ce_specversion",
    id = "ce_id",
    event_id = "ce_eventid",
    full_type = "ce_type",
    source = "ce_source",
    subject = "ce_subject",
    time = "ce_time",
    revision = "ce_revision",
    previous_revision = "ce_previousrevision",
    position = "ce_position",
    schema_version = "ce_schemaversion",
    correlation_id = "ce_correlationid",
    causation_id = "ce_causationid",
    traceparent = "traceparent",
}

impl Found<'_> {
    fn envelope(&self, key: Option<&[u8]>) -> Result<Envelope, HeaderError> {
        if let Some(version) = self.specversion.filter(|version| *version != "1.0") {
            return Err(invalid("ce_specversion", version, "1.0"));
        }
        let stream = required("ce_subject", self.subject)?;
        if key != Some(stream.as_bytes()) {
            let key = key.map_or_else(|| "null".to_owned(), |key| format!("{:?}", lossy_text(key)));
            return Err(HeaderError::Key { key, stream: stream.to_owned() });
        }
        let previous = match self.previous_revision {
            None => Previous::Unknown,
            Some("-1") => Previous::First,
            Some(revision) => Previous::Revision(number("ce_previousrevision", revision)?),
        };
        let uuid = |name, value: Option<&str>| value.map(|value| parse(name, value, "a UUID")).transpose();
        Ok(Envelope {
            source: required("ce_source", self.source)?.to_owned(),
            stream: stream.into(),
            revision: number("ce_revision", required("ce_revision", self.revision)?)?,
            previous,
            position: number("ce_position", required("ce_position", self.position)?)?,
            id: required("ce_id", self.id)?.to_owned(),
            event_id: uuid("ce_eventid", self.event_id)?,
            full_type: required("ce_type", self.full_type)?.to_owned(),
            time: parse("ce_time", required("ce_time", self.time)?, "a time as in RFC 3339")?,
            schema_version: version(required("ce_schemaversion", self.schema_version)?)?,
            correlation_id: self.correlation_id.map(str::to_owned),
            causation_id: self.causation_id.map(str::to_owned),
            traceparent: self.traceparent.map(str::to_owned),
        })
    }
}

fn required<'a>(name: &'static str, value: Option<&'a str>) -> Result<&'a str, HeaderError> {
    value.ok_or(HeaderError::Missing(name))
}

fn invalid(name: &'static str, value: &str, expected: &'static str) -> HeaderError {
    HeaderError::Invalid { name, value: value.to_owned(), expected }
}

fn parse<T: FromStr>(name: &'static str, value: &str, expected: &'static str) -> Result<T, HeaderError> {
    value.parse().map_err(|_| invalid(name, value, expected))
}

/// Versions are 32-bit and signed in the store's metadata.
fn version(value: &str) -> Result<u32, HeaderError> {
    let number: Option<i32> = value.parse().ok();
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| invalid("ce_schemaversion", value, "a number from 0 to 2147483647"))
}

/// Revisions and positions are 64-bit and signed in the store and in Postgres.
fn number(name: &'static str, value: &str) -> Result<u64, HeaderError> {
    let number: Option<i64> = value.parse().ok();
    number
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| invalid(name, value, "a number from 0 to 9223372036854775807"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(changes: &[(&str, Option<&[u8]>)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in changes {
            headers.push(name, *value);
        }
        // The first of a name counts, so these are defaults.
        for (name, value) in [
            ("ce_specversion", "1.0"),
            ("ce_id", "7@order-42"),
            ("ce_type", "shop.orders.OrderCreated"),
            ("ce_source", "aqueduct/eventstore"),
            ("ce_subject", "order-42"),
            ("ce_time", "2026-11-23T03:04:05.678Z"),
            ("ce_revision", "7"),
            ("ce_position", "9001"),
            ("ce_schemaversion", "2"),
        ] {
            headers.push(name, Some(value.as_bytes()));
        }
        headers
    }

    fn read(changes: &[(&str, Option<&[u8]>)]) -> Result<Envelope, String> {
        headers(changes).envelope(Some(b"order-42")).map_err(|error| error.to_string())
    }

    #[test]
    fn missing_optional_headers_have_a_meaning() {
        let envelope = read(&[]).unwrap();
        assert_eq!(envelope.revision, 7);
        assert_eq!(envelope.previous, Previous::Unknown);
        assert_eq!(envelope.event_type(), "OrderCreated");

        let first = read(&[("ce_previousrevision", Some(b"-1"))]).unwrap();
        assert_eq!(first.previous, Previous::First);

        let later =
            read(&[("ce_previousrevision", Some(b"5")), ("ce_correlationid", Some(b"ticket 7"))]).unwrap();
        assert_eq!(later.previous, Previous::Revision(5));
        assert_eq!(later.correlation_id.as_deref(), Some("ticket 7"));
    }

    #[test]
    fn an_invalid_header_is_named() {
        for (change, expected) in [
            (("ce_revision", Some(b"seven".as_slice())), "header ce_revision is \"seven\""),
            (("ce_revision", Some(b"9223372036854775808")), "expected a number"),
            (("ce_revision", None), "header ce_revision is missing"),
            (("ce_previousrevision", Some(b"-2")), "header ce_previousrevision is \"-2\""),
            (("ce_time", Some(b"yesterday")), "expected a time as in RFC 3339"),
            (("ce_eventid", Some(b"1")), "expected a UUID"),
            (("ce_specversion", Some(b"0.3")), "expected 1.0"),
            (("ce_type", Some(b"a\0b")), "expected text in UTF-8 of at most"),
            (
                ("ce_subject", Some(b"order-43")),
                "key is \"order-42\", but header ce_subject names the stream \"order-43\"",
            ),
        ] {
            let error = read(&[change]).unwrap_err();
            assert!(error.contains(expected), "{change:?}: {error}");
        }
        let without_key = headers(&[]).envelope(None).unwrap_err().to_string();
        assert_eq!(
            without_key,
            "the record's key is null, but header ce_subject names the stream \"order-42\""
        );
    }

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
