//! How the envelope is read from a record's headers.

use std::str::FromStr;

use crate::record::envelope::{Envelope, Previous};
use crate::record::known_header::KnownHeader;

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

/// The texts of the headers that are read; the first of each name counts.
#[derive(Default)]
pub(crate) struct Found<'a>([Option<&'a str>; KnownHeader::COUNT]);

impl<'a> Found<'a> {
    /// Takes a value that is text without NUL.
    pub(crate) fn put(&mut self, header: KnownHeader, text: &'a str) -> Result<(), HeaderError> {
        if text.len() > MAX_BYTES {
            return Err(not_text(header, text.as_bytes()));
        }
        self.0[header as usize].get_or_insert(text);
        Ok(())
    }

    /// Takes any value.
    pub(crate) fn put_bytes(&mut self, header: KnownHeader, value: &'a [u8]) -> Result<(), HeaderError> {
        let text = std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'));
        self.put(header, text.ok_or_else(|| not_text(header, value))?)
    }

    fn get(&self, header: KnownHeader) -> Option<&'a str> {
        self.0[header as usize]
    }

    fn required(&self, header: KnownHeader) -> Result<&'a str, HeaderError> {
        self.get(header).ok_or(HeaderError::Missing(header.name()))
    }

    fn owned(&self, header: KnownHeader) -> Option<String> {
        self.get(header).map(str::to_owned)
    }

    /// Reads the envelope. `key` is the record's key, which must be the stream.
    pub(crate) fn envelope(&self, key: Option<&[u8]>) -> Result<Envelope, HeaderError> {
        use KnownHeader as Known;
        if let Some(version) = self.get(Known::SpecVersion).filter(|version| *version != "1.0") {
            return Err(invalid(Known::SpecVersion, version, "1.0"));
        }
        let stream = self.required(Known::Subject)?;
        if key != Some(stream.as_bytes()) {
            let key = key.map_or_else(|| "null".to_owned(), |key| format!("{:?}", lossy_text(key)));
            return Err(HeaderError::Key { key, stream: stream.to_owned() });
        }
        let previous = match self.get(Known::PreviousRevision) {
            None => Previous::Unknown,
            Some("-1") => Previous::First,
            Some(revision) => Previous::Revision(number(Known::PreviousRevision, revision)?),
        };
        let position = self.get(Known::Position).map(|position| number(Known::Position, position));
        Ok(Envelope {
            source: self.required(Known::Source)?.to_owned(),
            stream: stream.into(),
            revision: number(Known::Revision, self.required(Known::Revision)?)?,
            previous,
            position: position.transpose()?,
            id: self.required(Known::Id)?.to_owned(),
            event_id: self.owned(Known::EventId),
            full_type: self.required(Known::Type)?.to_owned(),
            time: parse(Known::Time, self.required(Known::Time)?, "a time as in RFC 3339")?,
            schema_version: version(self.required(Known::SchemaVersion)?)?,
            correlation_id: self.owned(Known::CorrelationId),
            causation_id: self.owned(Known::CausationId),
            traceparent: self.owned(Known::TraceParent),
        })
    }
}

fn not_text(header: KnownHeader, value: &[u8]) -> HeaderError {
    let expected = "text in UTF-8 of at most 1024 bytes without NUL";
    HeaderError::Invalid { name: header.name(), value: lossy_text(value), expected }
}

fn invalid(header: KnownHeader, value: &str, expected: &'static str) -> HeaderError {
    HeaderError::Invalid { name: header.name(), value: value.to_owned(), expected }
}

fn parse<T: FromStr>(header: KnownHeader, value: &str, expected: &'static str) -> Result<T, HeaderError> {
    value.parse().map_err(|_| invalid(header, value, expected))
}

/// Versions are 32-bit and signed in the store's metadata.
fn version(value: &str) -> Result<u32, HeaderError> {
    let number: Option<i32> = value.parse().ok();
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| invalid(KnownHeader::SchemaVersion, value, "a number from 0 to 2147483647"))
}

/// Revisions and positions are 64-bit and signed in the store and in Postgres.
fn number(header: KnownHeader, value: &str) -> Result<u64, HeaderError> {
    let number: Option<i64> = value.parse().ok();
    number
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| invalid(header, value, "a number from 0 to 9223372036854775807"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::headers::Headers;

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

        let relayed = read(&[("ce_position", Some(b"9001")), ("ce_eventid", Some(b"ticket 7"))]).unwrap();
        assert_eq!((relayed.position, relayed.event_id.as_deref()), (Some(9001), Some("ticket 7")));
        assert_eq!((envelope.position, envelope.event_id), (None, None));

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
            (("ce_position", Some(b"first")), "header ce_position is \"first\""),
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
}
