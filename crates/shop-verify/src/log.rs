//! What the shop's streams hold, in memory: its rules need all of it.

use std::collections::HashMap;

use aqueduct_core::{Metadata, RecordedEvent, StreamName};
use aqueduct_verify::{Findings, Kind, Stage};
use bytes::Bytes;

/// The events of the shop's streams, in the order of `$all`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Vec<Entry>,
    streams: HashMap<StreamName, Vec<usize>>,
}

/// An event and its metadata, which is `None` where it is not what the product writes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The event.
    pub(crate) event: RecordedEvent,
    /// Its metadata.
    pub(crate) metadata: Option<Metadata>,
}

impl Log {
    /// Adds the next event of `$all`.
    pub(crate) fn push(&mut self, mut event: RecordedEvent) {
        let metadata = event.parse_metadata().ok();
        // One name a stream, not one an event; and the metadata is kept once, parsed.
        if let Some((name, _)) = self.streams.get_key_value(&event.stream) {
            event.stream = name.clone();
        }
        event.metadata = Bytes::new();
        self.streams.entry(event.stream.clone()).or_default().push(self.events.len());
        self.events.push(Entry { event, metadata });
    }

    /// The events in the order of `$all`.
    pub(crate) fn events(&self) -> &[Entry] {
        &self.events
    }

    /// The events of a stream in the order of `$all`.
    pub(crate) fn stream(&self, name: &StreamName) -> impl ExactSizeIterator<Item = &Entry> {
        self.streams.get(name).map_or(&[][..], |indices| indices).iter().map(|index| &self.events[*index])
    }

    /// The streams, in no order.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// Judges what holds for the shop and not for every store: streams begin at revision 0, and the metadata of an
    /// event can be read and names the stream's aggregate.
    pub(crate) fn judge(&self, findings: &mut Findings) {
        for indices in self.streams.values() {
            if let Some(first) = indices.iter().map(|index| &self.events[*index].event).next()
                && first.revision > 0
            {
                let text = "the stream has no event 0 before it";
                findings.add(Stage::Store, Kind::Missing, first.reference(), text);
            }
        }
        for Entry { event, metadata } in &self.events {
            match metadata {
                None => {
                    findings.add(Stage::Store, Kind::Mismatch, event.reference(), "metadata cannot be read");
                }
                Some(metadata)
                    if metadata.aggregate_type != event.stream.category()
                        || Some(metadata.aggregate_id.as_str()) != event.stream.id() =>
                {
                    let text = format!(
                        "metadata names aggregate {} {}",
                        metadata.aggregate_type, metadata.aggregate_id
                    );
                    findings.add(Stage::Store, Kind::Mismatch, event.reference(), text);
                }
                Some(_) => {}
            }
        }
    }
}
