//! Parked events as they are stored.

use std::sync::Arc;

use aqueduct_core::{ContentType, Position, RecordedEvent};
use aqueduct_kafka::raw_headers;
use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::record::Record;
use crate::record::header_block::HeaderBlock;
use crate::record::reference::EventReference;

/// Names of the headers.
mod name {
    pub(super) const EVENT_TYPE: &str = "event_type";
    pub(super) const EVENT_ID: &str = "event_id";
    pub(super) const POSITION: &str = "position";
    pub(super) const CREATED: &str = "created";
    pub(super) const CONTENT_TYPE: &str = "content_type";
    pub(super) const METADATA: &str = "metadata";
    pub(super) const PARKED_AT: &str = "parked_at";
    pub(super) const REFERENCE: &str = "reference";
    pub(super) const EMPTY: &str = "empty";
}

const TRUE: &[u8] = b"true";

/// What the record format adds to each header, and to a record: more than it ever is.
const OVERHEAD: usize = 16;

/// An event in a route's parked topic: the event as the store has it, under its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedEvent {
    /// The event. Without data and metadata where [`by_reference`](Self::by_reference) is set.
    pub event: RecordedEvent,
    /// Data and metadata are too large for a record, so they must be read from the store.
    pub by_reference: bool,
    /// When it was parked, by the relay's clock.
    pub parked_at: Timestamp,
}

/// A record of the parked topic is not a parked event.
#[derive(Debug, thiserror::Error)]
#[error("header `{0}` is missing or has a wrong form")]
pub(crate) struct ParkedEventError(&'static str);

impl ParkedEvent {
    /// The record that stores an event, at most `max_bytes` large (key, headers and value). An event that would be
    /// larger is stored as a reference.
    pub(crate) fn record(
        topic: &Arc<str>,
        lane: u32,
        event: &RecordedEvent,
        parked_at: Timestamp,
        max_bytes: usize,
    ) -> Record {
        let key = EventReference::of(event).to_string();
        let texts = texts(event, parked_at);
        let mut bytes = texts.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum::<usize>();
        bytes += key.len() + event.data.len() + name::METADATA.len() + event.metadata.len() + OVERHEAD;
        let (more, value) = if bytes > max_bytes {
            (vec![(name::REFERENCE, TRUE)], Bytes::new())
        } else {
            // A value that is null would remove the event.
            let empty = event.data.is_empty().then_some((name::EMPTY, TRUE));
            let metadata = (name::METADATA, &event.metadata[..]);
            ([metadata].into_iter().chain(empty).collect(), event.data.clone())
        };
        let texts = texts.iter().map(|(name, value)| (*name, value.as_bytes()));
        Record {
            topic: Arc::clone(topic),
            partition: lane as i32,
            key: key.into(),
            value: Some(value),
            headers: HeaderBlock::of(texts.chain(more)),
        }
    }

    /// Reads a record; `None` where it removes the event.
    pub(crate) fn parse(record: &OwnedMessage) -> Result<Option<(EventReference, Self)>, ParkedEventError> {
        let reference = EventReference::of_key(record.key()).ok_or(ParkedEventError("key"))?;
        let headers = Values(record);
        let (by_reference, empty) = (headers.is_true(name::REFERENCE), headers.is_true(name::EMPTY));
        let data = match record.payload() {
            Some(data) => Bytes::copy_from_slice(data),
            // Some clients do not tell an empty value from null.
            None if by_reference || empty => Bytes::new(),
            None => return Ok(None),
        };
        let event = RecordedEvent {
            stream: reference.stream.clone(),
            revision: reference.revision,
            position: headers.position().ok_or(ParkedEventError(name::POSITION))?,
            id: headers.text(name::EVENT_ID, |text| text.parse().ok())?,
            event_type: headers.text(name::EVENT_TYPE, |text| Some(text.to_owned()))?,
            content_type: headers.text(name::CONTENT_TYPE, content_type)?,
            data,
            metadata: headers.raw(name::METADATA).map(Bytes::copy_from_slice).unwrap_or_default(),
            created: headers.text(name::CREATED, |text| text.parse().ok())?,
        };
        let parked_at = headers.text(name::PARKED_AT, |text| text.parse().ok())?;
        Ok(Some((reference, Self { event, by_reference, parked_at })))
    }
}

#[cfg(test)]
impl ParkedEvent {
    /// A parked event of which only the place and the time matter.
    pub(crate) fn at(EventReference { stream, revision }: EventReference, parked_at: Timestamp) -> Self {
        let event = RecordedEvent {
            stream,
            revision,
            position: Position::at(9),
            id: Default::default(),
            event_type: "Noted".to_owned(),
            content_type: Default::default(),
            data: Bytes::new(),
            metadata: Bytes::new(),
            created: Default::default(),
        };
        Self { event, by_reference: false, parked_at }
    }
}

fn content_type(media_type: &str) -> Option<ContentType> {
    [ContentType::Json, ContentType::Binary].into_iter().find(|it| it.as_str() == media_type)
}

/// The headers that every parked event has.
fn texts(event: &RecordedEvent, parked_at: Timestamp) -> [(&'static str, String); 6] {
    let position = format!("{}/{}", event.position.commit, event.position.prepare);
    [
        (name::EVENT_TYPE, event.event_type.clone()),
        (name::EVENT_ID, event.id.to_string()),
        (name::POSITION, position),
        (name::CREATED, event.created.to_string()),
        (name::CONTENT_TYPE, event.content_type.as_str().to_owned()),
        (name::PARKED_AT, parked_at.to_string()),
    ]
}

/// The headers of a record.
struct Values<'a>(&'a OwnedMessage);

impl<'a> Values<'a> {
    fn raw(&self, name: &str) -> Option<&'a [u8]> {
        raw_headers(self.0.headers()?.as_borrowed()).find(|it| it.name == name.as_bytes())?.value
    }

    fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some(TRUE)
    }

    fn text<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParkedEventError> {
        let text = self.raw(name).and_then(|value| str::from_utf8(value).ok());
        text.and_then(parse).ok_or(ParkedEventError(name))
    }

    fn position(&self) -> Option<Position> {
        let (commit, prepare) = str::from_utf8(self.raw(name::POSITION)?).ok()?.split_once('/')?;
        Some(Position { commit: commit.parse().ok()?, prepare: prepare.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a consumer makes of a record.
    fn received(record: Record) -> OwnedMessage {
        let (key, value) = (Some(record.key.to_vec()), record.value.map(|value| value.to_vec()));
        let headers = record.headers.to_native();
        let time = rdkafka::Timestamp::NotAvailable;
        OwnedMessage::new(value, key, record.topic.to_string(), time, record.partition, 42, headers)
    }

    fn event(event_type: &str, data: &[u8], metadata: &[u8]) -> RecordedEvent {
        RecordedEvent {
            stream: "order-42".into(),
            revision: 7,
            position: Position { commit: 1234, prepare: 1200 },
            id: "00000000-0000-0000-0000-000000000004".parse().unwrap(),
            event_type: event_type.to_owned(),
            content_type: ContentType::Binary,
            data: Bytes::copy_from_slice(data),
            metadata: Bytes::copy_from_slice(metadata),
            created: "2010-12-01T08:26:00.5Z".parse().unwrap(),
        }
    }

    fn stored(event: &RecordedEvent, max_bytes: usize) -> OwnedMessage {
        let parked_at = "2026-01-02T03:04:05Z".parse().unwrap();
        received(ParkedEvent::record(&"parked".into(), 3, event, parked_at, max_bytes))
    }

    #[test]
    fn its_headers_are_what_the_format_says() {
        let record = stored(&event("OrderCreated", b"{}", b"[1]"), usize::MAX);
        assert_eq!((record.key(), record.payload()), (Some(&b"7@order-42"[..]), Some(&b"{}"[..])));
        assert_eq!(record.partition(), 3);
        let headers = record.headers().unwrap();
        let texts: Vec<_> = raw_headers(headers.as_borrowed())
            .map(|it| (str::from_utf8(it.name).unwrap(), str::from_utf8(it.value.unwrap()).unwrap()))
            .collect();
        let expected = [
            ("event_type", "OrderCreated"),
            ("event_id", "00000000-0000-0000-0000-000000000004"),
            ("position", "1234/1200"),
            ("created", "2010-12-01T08:26:00.5Z"),
            ("content_type", "application/octet-stream"),
            ("parked_at", "2026-01-02T03:04:05Z"),
            ("metadata", "[1]"),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn an_event_that_is_too_large_is_stored_as_a_reference() {
        let large = event("OrderCreated", &[b'x'; 1000], &[b'y'; 1000]);
        let (_, parked) = ParkedEvent::parse(&stored(&large, 2000)).unwrap().unwrap();
        assert!(parked.by_reference);
        assert_eq!(
            parked.event,
            RecordedEvent { data: Bytes::new(), metadata: Bytes::new(), ..large.clone() }
        );
        let (_, parked) = ParkedEvent::parse(&stored(&large, 2500)).unwrap().unwrap();
        assert!(!parked.by_reference);
        assert_eq!(parked.event, large);
    }

    #[test]
    fn only_null_removes_an_event() {
        let empty = event("OrderCreated", b"", b"");
        let record = stored(&empty, usize::MAX);
        assert_eq!(ParkedEvent::parse(&record).unwrap().unwrap().1.event, empty);
        let received_as_null = record.clone().set_payload(None);
        assert_eq!(ParkedEvent::parse(&received_as_null).unwrap().unwrap().1.event, empty);
        let removed = stored(&event("OrderCreated", b"{}", b""), usize::MAX).set_payload(None);
        assert_eq!(ParkedEvent::parse(&removed).unwrap(), None);
    }

    #[test]
    fn what_is_not_a_parked_event_is_refused() {
        let record = stored(&event("OrderCreated", b"{}", b""), usize::MAX);
        let refused = |record: OwnedMessage| ParkedEvent::parse(&record).unwrap_err().to_string();
        assert!(refused(record.clone().set_key(Some(b"order-42".to_vec()))).contains("`key`"));
        let mut without_headers = record;
        without_headers.detach_headers();
        assert!(refused(without_headers).contains("`position`"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            event_type in ".{0,40}",
            data in prop::collection::vec(any::<u8>(), 0..100),
            metadata in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let event = event(&event_type, &data, &metadata);
            let (reference, parked) = ParkedEvent::parse(&stored(&event, usize::MAX)).unwrap().unwrap();
            prop_assert_eq!(reference, EventReference::of(&event));
            prop_assert_eq!(parked.event, event);
        }
    }
}
