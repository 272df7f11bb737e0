//! The headers of a record.

use aqueduct_core::RecordedEvent;
use aqueduct_core::mapping::EventMetadata;
use aqueduct_kafka::raw_headers;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use rdkafka::message::{Message as _, OwnedMessage};
use uuid::fmt::Hyphenated;

use crate::record::decimal::append_decimal;
use crate::record::exception::LastRelayed;
use crate::record::header_block::{ConstantHeaders, HeaderWriter};

/// Names of the headers: CloudEvents 1.0 in Kafka's binary mode, and extensions. All values are text.
pub mod header {
    /// `application/avro`.
    pub const CONTENT_TYPE: &str = "content-type";
    /// `1.0`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// `revision@stream`, unique within the source.
    pub const ID: &str = "ce_id";
    /// Full name of the Avro record.
    pub const TYPE: &str = "ce_type";
    /// Name of the store, as configured.
    pub const SOURCE: &str = "ce_source";
    /// The stream.
    pub const SUBJECT: &str = "ce_subject";
    /// When the event was decided, RFC 3339; where it does not say, when the store recorded it.
    pub const TIME: &str = "ce_time";
    /// The store's id of the event, not unique.
    pub const EVENT_ID: &str = "ce_eventid";
    /// Place of the event in its stream.
    pub const REVISION: &str = "ce_revision";
    /// Revision of the stream's record before this one, `-1` for the first; left out where it cannot be known.
    pub const PREVIOUS_REVISION: &str = "ce_previousrevision";
    /// Place of the event in `$all`.
    pub const POSITION: &str = "ce_position";
    /// Version of the schema of the record's value.
    pub const SCHEMA_VERSION: &str = "ce_schemaversion";
    /// Shared by everything that follows from one request, a text of any form; left out where it is not known.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// The message that the event follows from, likewise.
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// W3C trace context of the span that appended the event.
    pub const TRACEPARENT: &str = "traceparent";
}

/// `ce_position` of a record that a relay of this source wrote; `None` for a record of any other producer.
pub(crate) fn own_position(record: &OwnedMessage, source: &str) -> Option<u64> {
    let position = str::from_utf8(value(record, header::POSITION)?).ok()?.parse().ok()?;
    (value(record, header::SOURCE)? == source.as_bytes()).then_some(position)
}

/// `ce_source` of a record that a relay wrote, of this source or another: its `ce_id` is `revision@key`. `None` for
/// a record of any other producer.
pub(crate) fn relayed_source(record: &OwnedMessage) -> Option<String> {
    let id = value(record, header::ID)?;
    let at = id.iter().position(|it| *it == b'@')?;
    let _revision: u64 = str::from_utf8(&id[..at]).ok()?.parse().ok()?;
    let source = value(record, header::SOURCE)?;
    (record.key() == Some(&id[at + 1..])).then(|| String::from_utf8_lossy(source).into_owned())
}

fn value<'a>(record: &'a OwnedMessage, name: &str) -> Option<&'a [u8]> {
    let headers = record.headers()?;
    raw_headers(headers.as_borrowed()).find(|it| it.name == name.as_bytes())?.value
}

/// The headers that all records of an event type have in common.
pub(crate) struct TypeHeaders {
    opening: ConstantHeaders,
    type_and_source: ConstantHeaders,
    schema_version: ConstantHeaders,
}

impl TypeHeaders {
    pub(crate) fn new(source: &str, full_name: &str, schema_version: u32) -> Self {
        let version = schema_version.to_string();
        Self {
            opening: ConstantHeaders::of(&[
                (header::CONTENT_TYPE, "application/avro"),
                (header::SPEC_VERSION, "1.0"),
            ]),
            type_and_source: ConstantHeaders::of(&[(header::TYPE, full_name), (header::SOURCE, source)]),
            schema_version: ConstantHeaders::of(&[(header::SCHEMA_VERSION, &version)]),
        }
    }

    /// Writes the headers of an event's record.
    pub(crate) fn write(
        &self,
        headers: &mut HeaderWriter<'_>,
        event: &RecordedEvent,
        metadata: &EventMetadata<'_>,
        previous: LastRelayed,
    ) {
        let stream = event.stream.as_str().as_bytes();
        headers.constant(&self.opening);
        headers.value(header::ID, |text| {
            append_decimal(text, event.revision);
            text.push(b'@');
            text.extend_from_slice(stream);
        });
        headers.constant(&self.type_and_source);
        headers.bytes(header::SUBJECT, stream);
        headers.value(header::TIME, |text| append_time(text, metadata.time.unwrap_or(event.created)));
        let mut id = [0; Hyphenated::LENGTH];
        headers.bytes(header::EVENT_ID, event.id.hyphenated().encode_lower(&mut id).as_bytes());
        headers.value(header::REVISION, |text| append_decimal(text, event.revision));
        headers.value(header::POSITION, |text| append_decimal(text, event.position.commit));
        headers.constant(&self.schema_version);
        match previous {
            LastRelayed::None => headers.bytes(header::PREVIOUS_REVISION, b"-1"),
            LastRelayed::Revision(revision) => {
                headers.value(header::PREVIOUS_REVISION, |text| append_decimal(text, revision));
            }
            LastRelayed::Unknown => {}
        }
        for (name, value) in [
            (header::CORRELATION_ID, &metadata.correlation_id),
            (header::CAUSATION_ID, &metadata.causation_id),
            (header::TRACEPARENT, &metadata.traceparent),
        ] {
            if let Some(value) = value {
                headers.bytes(name, value.as_bytes());
            }
        }
    }
}

/// As [`Timestamp`]'s `Display`, without `fmt`.
fn append_time(text: &mut Vec<u8>, time: Timestamp) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    let _infallible = PRINTER.print_timestamp(&time, text);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ptr;

    use aqueduct_core::Position;
    use aqueduct_core::mapping::EventMapping;
    use rdkafka::bindings::rd_kafka_header_add;
    use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};

    use super::*;
    use crate::record::header_block::HeaderBlock;

    #[test]
    fn only_a_record_of_the_relay_has_a_position() {
        let with = |headers: OwnedHeaders| {
            let time = rdkafka::Timestamp::NotAvailable;
            OwnedMessage::new(None, None, "shop.orders".to_owned(), time, 3, 42, Some(headers))
        };
        let text = |key, value| Header { key, value: Some(value) };
        let own = || {
            let headers = OwnedHeaders::new();
            headers.insert(text(header::POSITION, "7")).insert(text(header::SOURCE, "store"))
        };
        assert_eq!(own_position(&with(own()), "store"), Some(7));
        assert_eq!(own_position(&with(own()), "another store"), None);
        let without_source = OwnedHeaders::new().insert(text(header::POSITION, "7"));
        assert_eq!(own_position(&with(without_source), "store"), None);
        let not_a_number = OwnedHeaders::new().insert(text(header::POSITION, "x"));
        assert_eq!(own_position(&with(not_a_number.insert(text(header::SOURCE, "store"))), "store"), None);

        let unnamed = own();
        let native: *const BorrowedHeaders = unnamed.as_borrowed();
        // SAFETY: this is librdkafka's own pointer, and it copies the name.
        unsafe { rd_kafka_header_add(native.cast_mut().cast(), c"caf\xe9".as_ptr(), -1, ptr::null(), 0) };
        assert_eq!(own_position(&with(unnamed), "store"), Some(7), "whatever else its headers are called");
    }

    #[test]
    fn a_record_of_any_relay_has_a_source() {
        let source = |key: &str, id: &str| {
            let text = |key, value| Header { key, value: Some(value) };
            let headers = OwnedHeaders::new()
                .insert(text(header::ID, id))
                .insert(text(header::SOURCE, "another store"));
            let (key, time) = (Some(key.as_bytes().to_vec()), rdkafka::Timestamp::NotAvailable);
            relayed_source(&OwnedMessage::new(None, key, "t".to_owned(), time, 3, 42, Some(headers)))
        };
        assert_eq!(source("order-a@b", "7@order-a@b").as_deref(), Some("another store"));
        assert_eq!(source("order-1", "7@order-2"), None, "not the key");
        assert_eq!(source("order-1", "x@order-1"), None, "not a revision");
        assert_eq!(source("order-1", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"), None, "another form of id");
    }

    #[test]
    fn a_time_is_written_as_it_is_displayed() {
        for time in [
            "2010-12-01T08:26:00Z",
            "-009999-01-02T01:59:59Z",
            "2023-01-01T00:02:14.9552005Z",
            "9999-12-30T22:00:00.999999999Z",
        ] {
            let (time, mut text) = (time.parse::<Timestamp>().unwrap(), Vec::new());
            append_time(&mut text, time);
            assert_eq!(String::from_utf8(text).unwrap(), time.to_string());
        }
    }

    #[test]
    fn a_record_has_the_headers_of_the_format() {
        let metadata = serde_json::json!({
            "schemaVersion": 1, "aggregateType": "order", "aggregateId": "42",
            "timestamp": "2010-12-01T08:26:00.5Z",
            "$correlationId": "00000000-0000-0000-0000-000000000001",
            "$causationId": "00000000-0000-0000-0000-000000000002",
            "commandId": "00000000-0000-0000-0000-000000000003",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        });
        let event = RecordedEvent {
            stream: "order-42".into(),
            revision: 7,
            position: Position::at(1234),
            id: "00000000-0000-0000-0000-000000000004".parse().unwrap(),
            event_type: "OrderCreated".to_owned(),
            content_type: Default::default(),
            data: Default::default(),
            metadata: metadata.to_string().into(),
            created: Default::default(),
        };
        let mapping = EventMapping::default();
        let mapped = mapping.read(&event.event_type, &event.metadata, &event.data).unwrap();
        let of_type = TypeHeaders::new("aqueduct/eventstore", "shop.orders.OrderCreated", 2);
        let texts = |metadata: &EventMetadata<'_>, previous| -> BTreeMap<String, String> {
            let mut block = Vec::new();
            let mut headers = HeaderWriter::new(&mut block);
            of_type.write(&mut headers, &event, metadata, previous);
            let text_bytes = headers.text_bytes;
            let block = HeaderBlock::written(block.into());
            let text =
                |(name, value): (&str, &[u8])| (name.to_owned(), String::from_utf8(value.to_vec()).unwrap());
            let texts: BTreeMap<_, _> = block.iter().map(text).collect();
            assert_eq!(text_bytes, texts.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>());
            texts
        };

        let expected = [
            ("ce_causationid", "00000000-0000-0000-0000-000000000002"),
            ("ce_correlationid", "00000000-0000-0000-0000-000000000001"),
            ("ce_eventid", "00000000-0000-0000-0000-000000000004"),
            ("ce_id", "7@order-42"),
            ("ce_position", "1234"),
            ("ce_previousrevision", "6"),
            ("ce_revision", "7"),
            ("ce_schemaversion", "2"),
            ("ce_source", "aqueduct/eventstore"),
            ("ce_specversion", "1.0"),
            ("ce_subject", "order-42"),
            ("ce_time", "2010-12-01T08:26:00.5Z"),
            ("ce_type", "shop.orders.OrderCreated"),
            ("content-type", "application/avro"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let metadata = &mapped.metadata;
        assert_eq!(texts(metadata, LastRelayed::Revision(6)), expected);
        assert_eq!(texts(metadata, LastRelayed::None)["ce_previousrevision"], "-1");
        assert!(!texts(metadata, LastRelayed::Unknown).contains_key("ce_previousrevision"));

        let foreign = texts(&EventMetadata::default(), LastRelayed::Revision(6));
        assert_eq!(foreign["ce_time"], "1970-01-01T00:00:00Z", "the store's");
        let unknown = ["ce_correlationid", "ce_causationid", "traceparent"];
        assert!(unknown.iter().all(|name| !foreign.contains_key(*name)), "{foreign:?}");
    }
}
