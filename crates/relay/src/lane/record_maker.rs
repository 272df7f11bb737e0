//! An event into a record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_core::mapping::LeftOut;
use aqueduct_core::{Position, RecordedEvent, Revision, StoreError, StreamName};

use crate::lane::context::LaneContext;
use crate::lane::event_types::EventTypes;
use crate::lane::previous_records::{EarlierEvent, PreviousRecords};
use crate::lane::problem::EventProblem;
use crate::lane::record_buffer::RecordBuffer;
use crate::lane::route_selector::RouteSelector;
use crate::lane::stream_page::PageReader;
use crate::lane_definition::LaneDefinition;
use crate::options::Options;
use crate::record::Record;
use crate::record::exception::LastRelayed;
use crate::record::header_block::{HeaderBlock, HeaderWriter};
use crate::record::partition::partition_of;

/// JSON texts may begin with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Makes the records of a lane's events. A record is a function of the store, the schemas, the route's rule and its
/// exceptions.
pub(crate) struct RecordMaker<'a> {
    topic: Arc<str>,
    options: &'a Options,
    definition: &'a LaneDefinition,
    selector: Arc<RouteSelector>,
    types: EventTypes<'a>,
    pub(crate) previous_records: PreviousRecords,
    buffer: RecordBuffer,
}

/// What became of an event.
#[derive(Debug)]
pub(crate) struct EventRecord<'e> {
    pub(crate) record: Record,
    /// Bytes of key, value and headers.
    pub(crate) bytes: usize,
    pub(crate) previous: LastRelayed,
    /// The version in which it was stored, where it says one.
    pub(crate) stored_version: Option<u32>,
    pub(crate) upcasted: bool,
    /// Fields of the data that no schema has.
    pub(crate) dropped_fields: u64,
    pub(crate) left_out: LeftOut,
    pub(crate) traceparent: Option<Cow<'e, str>>,
}

impl<'a> RecordMaker<'a> {
    /// `since` are the event types that were added to the route, each with the position from which on it counts.
    pub(crate) fn new(context: &'a LaneContext, since: &BTreeMap<String, Position>) -> Self {
        let LaneContext { cluster, options, definition, store, pages_ahead, encoder, .. } = context;
        let selector = Arc::new(RouteSelector::new(&definition.route.selection(), since));
        let reader = PageReader { store: Arc::clone(store), selector: Arc::clone(&selector) };
        Self {
            topic: definition.route.topic.as_str().into(),
            options,
            definition,
            selector,
            types: EventTypes::new(&cluster.source, encoder),
            previous_records: PreviousRecords::new(options.known_streams, reader, Arc::clone(pages_ahead)),
            buffer: RecordBuffer::default(),
        }
    }

    /// Whether the event is this lane's.
    pub(crate) fn is_ours(&self, event: &RecordedEvent) -> bool {
        let LaneDefinition { lane, lanes, .. } = self.definition;
        let is_in_lane = |stream: &StreamName| *lanes == 1 || partition_of(stream.as_str(), *lanes) == *lane;
        self.selector.selects(event) && is_in_lane(&event.stream)
    }

    /// The event's record. `earlier` tells of earlier events that the route selects whether they are in the topic.
    pub(crate) async fn make<'e>(
        &mut self,
        event: &'e RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<EventRecord<'e>, EventProblem> {
        let Self { topic, options, definition, types, previous_records, buffer, .. } = self;
        let mapping = &definition.mapping.events;
        let prepared = types.get(&event.event_type);
        let mapped = match &prepared {
            Some(event_type) => event_type.version,
            None => types.resolve(mapping, &event.event_type)?.version,
        };
        let (version, metadata) = mapping.read_metadata(mapped, &event.metadata, &event.data)?;
        if !definition.mapping.declares_json(event) {
            return Err(EventProblem::ContentType);
        }
        if !begins_an_object(&event.data) {
            return Err(EventProblem::NotAnObject);
        }
        let event_type = match prepared {
            Some(event_type) => event_type,
            None => types.prepare(mapping, &event.event_type, version).await?,
        };

        let record = buffer.begin();
        record.extend_from_slice(event.stream.as_str().as_bytes());
        let key = record.len();
        let encoded = event_type.registered.encode(version, &event.data, record)?;
        let value = record.len();
        let previous = previous_records.before(event, earlier).await?;
        let mut headers = HeaderWriter::new(record);
        event_type.headers.write(&mut headers, event, &metadata, previous);
        let bytes = value + headers.text_bytes;
        let max = options.max_record_bytes.get();
        if bytes > max {
            return Err(EventProblem::TooLarge { bytes, max });
        }
        let record = buffer.take();
        Ok(EventRecord {
            record: Record {
                topic: Arc::clone(topic),
                partition: partition_of(event.stream.as_str(), definition.route.partitions.get()) as i32,
                key: record.slice(..key),
                value: Some(record.slice(key..value)),
                headers: HeaderBlock::written(record.slice(value..)),
            },
            bytes,
            previous,
            stored_version: version,
            upcasted: encoded.upcasted,
            dropped_fields: encoded.dropped_fields as u64,
            left_out: metadata.left_out,
            traceparent: metadata.traceparent,
        })
    }

    /// The revision of the stream's last record before an event.
    pub(crate) async fn last_relayed(
        &mut self,
        event: &RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<LastRelayed, StoreError> {
        self.previous_records.before(event, earlier).await
    }

    /// The event's record is in the batch.
    pub(crate) fn relayed(&mut self, event: &RecordedEvent) {
        self.previous_records.relayed(event);
    }
}

/// Whether the data can be a JSON object at all.
fn begins_an_object(data: &[u8]) -> bool {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let first = data.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    first == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_begins_like_one() {
        for data in [&b"{}"[..], b" \r\n\t{", b"\xef\xbb\xbf{\"a\":1}"] {
            assert!(begins_an_object(data));
        }
        for data in [&b""[..], b" ", b"null", b"[{}]", b"7", b"\"{\"", b"\xff\xfe{\0"] {
            assert!(!begins_an_object(data));
        }
    }
}
