//! What the event store holds, in memory.

use std::collections::HashMap;

use aqueduct_core::{Metadata, RecordedEvent, Revision, StreamName};
use bytes::Bytes;

use crate::finding::{Findings, Kind, Stage};

/// The events of the system that is checked, in the order of `$all`. Other streams are counted and left alone.
#[derive(Debug, Default)]
pub struct Log {
    events: Vec<Entry>,
    streams: HashMap<StreamName, Vec<usize>>,
    system: u64,
    foreign: u64,
}

/// An event and its metadata, which is `None` where it isn't what the product writes.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: RecordedEvent,
    /// Its metadata.
    pub metadata: Option<Metadata>,
}

impl Log {
    /// Adds the next event of `$all`; `ours` tells by the category of a stream whether it belongs to the
    /// system.
    pub fn push(&mut self, mut event: RecordedEvent, ours: impl FnOnce(&str) -> bool) {
        if event.stream.is_system() {
            self.system += 1;
        } else if !ours(event.stream.category()) {
            self.foreign += 1;
        } else {
            let metadata = event.parse_metadata().ok();
            // One name a stream, not one an event; and the metadata is kept once, parsed.
            if let Some((name, _)) = self.streams.get_key_value(&event.stream) {
                event.stream = name.clone();
            }
            event.metadata = Bytes::new();
            self.streams.entry(event.stream.clone()).or_default().push(self.events.len());
            self.events.push(Entry { event, metadata });
        }
    }

    /// The events in the order of `$all`.
    pub fn events(&self) -> &[Entry] {
        &self.events
    }

    /// The events of a stream in the order of `$all`.
    pub fn stream(&self, name: &StreamName) -> impl ExactSizeIterator<Item = &Entry> {
        self.streams.get(name).map_or(&[][..], |indices| indices).iter().map(|index| &self.events[*index])
    }

    /// Place of a revision in its stream, with its event and the one before it.
    pub(crate) fn find(
        &self,
        name: &StreamName,
        revision: Revision,
    ) -> Option<(usize, &Entry, Option<&Entry>)> {
        let indices = self.streams.get(name)?;
        let is_it = |place: &usize| {
            indices.get(*place).is_some_and(|index| self.events[*index].event.revision == revision)
        };
        // It stands at its own number, unless the stream is truncated or the store broken.
        let place = usize::try_from(revision).ok().filter(is_it);
        let place = place.or_else(|| (0..indices.len()).find(is_it))?;
        let previous = place.checked_sub(1).map(|previous| &self.events[indices[previous]]);
        Some((place, &self.events[indices[place]], previous))
    }

    /// The streams, in no order.
    pub fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// How many events of the server's own streams were passed over.
    pub fn system_events(&self) -> u64 {
        self.system
    }

    /// How many events of other systems' streams were passed over.
    pub fn foreign_events(&self) -> u64 {
        self.foreign
    }

    /// Judges what holds for any system: positions grow, revisions stand without holes from 0 on, metadata
    /// can be read and names the stream's aggregate.
    pub fn judge(&self, findings: &mut Findings) {
        for pair in self.events.windows(2) {
            let (earlier, later) = (&pair[0].event, &pair[1].event);
            if later.position <= earlier.position {
                let text = format!("stands at position {} behind {}", later.position, earlier.position);
                findings.add(Stage::Store, Kind::OutOfOrder, later.reference(), text);
            }
        }
        for indices in self.streams.values() {
            let mut next = 0;
            for index in indices {
                let Entry { event, metadata } = &self.events[*index];
                match event.revision {
                    revision if revision > next => {
                        let text = format!("the stream has no event {next} before it");
                        findings.add(Stage::Store, Kind::Missing, event.reference(), text);
                    }
                    revision if revision < next => {
                        let text = format!("comes after revision {}", next - 1);
                        findings.add(Stage::Store, Kind::Duplicate, event.reference(), text);
                    }
                    _ => {}
                }
                next = next.max(event.revision + 1);
                match metadata {
                    None => {
                        findings.add(
                            Stage::Store,
                            Kind::Mismatch,
                            event.reference(),
                            "metadata can't be read",
                        );
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
}
