//! An event into a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_core::mapping::{EventMappingError, LeftOut, TypeCache};
use aqueduct_core::{EventStore, Position, RecordedEvent, Revision, StoreError, StreamName};
use aqueduct_schema::RecordEncoder;
use bytes::Bytes;

use crate::lane::context::LaneContext;
use crate::lane::known_streams::{EarlierEvent, KnownStreams};
use crate::lane::problem::EventProblem;
use crate::lane::route_selector::RouteSelector;
use crate::lane_definition::LaneDefinition;
use crate::options::Options;
use crate::record::Record;
use crate::record::exception::LastRelayed;
use crate::record::headers::{Encoding, Headers};
use crate::record::partition::partition_of;

/// JSON texts may begin with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Makes the records of a lane's events. A record is a function of the store, the schemas, the route's rule and its
/// exceptions.
pub(crate) struct RecordMaker<'a> {
    /// `ce_source` of every record.
    source: &'a str,
    topic: Arc<str>,
    options: &'a Options,
    definition: &'a LaneDefinition,
    store: &'a dyn EventStore,
    encoder: &'a RecordEncoder,
    selector: RouteSelector,
    types: TypeCache,
    known: KnownStreams,
}

/// What became of an event.
#[derive(Debug)]
pub(crate) struct EventRecord {
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
    pub(crate) traceparent: Option<String>,
}

impl<'a> RecordMaker<'a> {
    /// `since` are the event types that were added to the route, each with the position from which on it counts.
    pub(crate) fn new(context: &'a LaneContext, since: &BTreeMap<String, Position>) -> Self {
        let LaneContext { cluster, options, definition, store, encoder, .. } = context;
        Self {
            source: &cluster.source,
            topic: definition.route.topic.as_str().into(),
            options,
            definition,
            store: store.as_ref(),
            encoder,
            selector: RouteSelector::new(&definition.route.selection(), since),
            types: TypeCache::default(),
            known: KnownStreams::new(options.known_streams),
        }
    }

    /// Whether the event is this lane's.
    pub(crate) fn is_ours(&self, event: &RecordedEvent) -> bool {
        self.selector.selects(event)
            && partition_of(event.stream.as_str(), self.definition.lanes) == self.definition.lane
    }

    /// The event's record. `earlier` tells of earlier events that the route selects whether they are in the topic.
    pub(crate) async fn make(
        &mut self,
        event: &RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<EventRecord, EventProblem> {
        let Self { definition, encoder, types, .. } = self;
        let mapping = &definition.mapping.events;
        let mapped = types.resolve(mapping.types(), &event.event_type).map_err(EventMappingError::from)?;
        let mapped = mapping.with_type(mapped, &event.metadata, &event.data)?;
        if !definition.mapping.declares_json(event) {
            return Err(EventProblem::ContentType);
        }
        if !begins_an_object(&event.data) {
            return Err(EventProblem::NotAnObject);
        }
        encoder.prepare([&*mapped.event_type]).await?;
        let encoded = encoder.encode(&mapped.event_type, mapped.version, &event.data)?;
        let (stored_version, left_out) = (mapped.version, mapped.metadata.left_out);

        let previous = self.known.before(event, self.store, &self.selector, earlier).await?;
        let encoding = Encoding { full_name: &encoded.full_name, schema_version: encoded.schema_version };
        let headers = Headers::of(self.source, event, &mapped.metadata, &encoding, previous);
        let key = Bytes::copy_from_slice(event.stream.as_str().as_bytes());
        let bytes = key.len() + encoded.bytes.len() + headers.bytes;
        let max = self.options.max_record_bytes.get();
        if bytes > max {
            return Err(EventProblem::TooLarge { bytes, max });
        }
        let partitions = definition.route.partitions.get();
        Ok(EventRecord {
            record: Record {
                topic: Arc::clone(&self.topic),
                partition: partition_of(event.stream.as_str(), partitions) as i32,
                key,
                value: Some(encoded.bytes),
                headers: Some(headers.headers),
            },
            bytes,
            previous,
            stored_version,
            upcasted: encoded.upcasted,
            dropped_fields: encoded.dropped_fields as u64,
            left_out,
            traceparent: mapped.metadata.traceparent.map(|it| it.into_owned()),
        })
    }

    /// The revision of the stream's last record before an event.
    pub(crate) async fn last_relayed(
        &mut self,
        event: &RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<LastRelayed, StoreError> {
        self.known.before(event, self.store, &self.selector, earlier).await
    }

    /// The event's record is in the batch.
    pub(crate) fn relayed(&mut self, event: &RecordedEvent) {
        self.known.relayed(event);
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
