//! Fills a batch with records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use aqueduct_core::{Position, RecordedEvent, Revision, StoreError, StreamName};

use crate::lane::batch::Batch;
use crate::lane::context::LaneContext;
use crate::lane::exceptions::Exceptions;
use crate::lane::previous_records::EarlierEvent;
use crate::lane::problem::EventProblem;
use crate::lane::record_maker::RecordMaker;
use crate::lane::trace::BatchSpan;
use crate::lane_definition::LaneDefinition;
use crate::record::checkpoint::Checkpoint;
use crate::record::exception::LastRelayed;

/// The batch that is being filled, and what the lane remembers of the records that it made.
pub(crate) struct BatchBuilder<'a> {
    definition: &'a LaneDefinition,
    maker: RecordMaker<'a>,
    /// Types of which records were made, as stored, with the versions in which they were stored.
    seen_versions: BTreeMap<String, BTreeSet<u32>>,
    /// Event types that were added to the route, each with the position from which on it counts.
    since: BTreeMap<String, Position>,
    /// The last record written to each partition.
    last: BTreeMap<i32, u64>,
    pub(crate) batch: Batch,
}

impl<'a> BatchBuilder<'a> {
    /// An empty batch after the checkpoint.
    pub(crate) fn new(context: &'a LaneContext, checkpoint: Option<Checkpoint>) -> Self {
        let definition = &context.definition;
        let since = checkpoint.as_ref().map(|it| definition.added_types(it)).unwrap_or_default();
        let (seen_versions, last) = checkpoint.map(|it| (it.seen_versions, it.last)).unwrap_or_default();
        Self {
            definition,
            maker: RecordMaker::new(context, &since),
            seen_versions,
            since,
            last,
            batch: Batch::default(),
        }
    }

    /// Whether the event is this lane's.
    pub(crate) fn is_ours(&self, event: &RecordedEvent) -> bool {
        self.maker.is_ours(event)
    }

    /// Begins the batch, where it has not begun.
    pub(crate) fn open(&mut self) -> &mut BatchSpan {
        let LaneDefinition { route, lane, .. } = self.definition;
        self.batch.open(&route.name, *lane)
    }

    /// The revision of the stream's last record before an event, of which no earlier one is parked. `exceptions` are the
    /// lane's, where it can have any.
    pub(crate) async fn last_relayed(
        &mut self,
        event: &RecordedEvent,
        exceptions: Option<&Exceptions>,
    ) -> Result<LastRelayed, StoreError> {
        self.maker.last_relayed(event, |stream, revision| earlier_event(exceptions, stream, revision)).await
    }

    /// Begins to look up what the records of the event and of those after it will need, as far as the lane will ask for it.
    /// `exceptions` as for [`last_relayed`](Self::last_relayed).
    pub(crate) fn look_ahead(
        &mut self,
        event: &RecordedEvent,
        upcoming: &VecDeque<RecordedEvent>,
        exceptions: Option<&Exceptions>,
    ) {
        let earlier = |stream: &StreamName, revision| earlier_event(exceptions, stream, revision);
        let is_blocked = |stream: &StreamName| exceptions.is_some_and(|it| it.is_blocked(stream));
        self.maker.previous_records.look_ahead(event, upcoming, earlier, is_blocked);
    }

    /// Drops what was looked up ahead.
    pub(crate) fn drop_read_ahead(&mut self) {
        self.maker.previous_records.drop_read_ahead();
    }

    /// Adds the event's record to the batch, or leaves everything as it is. `exceptions` as for
    /// [`last_relayed`](Self::last_relayed).
    pub(crate) async fn add_record(
        &mut self,
        event: &RecordedEvent,
        exceptions: Option<&Exceptions>,
    ) -> Result<(), EventProblem> {
        let made =
            self.maker.make(event, |stream, revision| earlier_event(exceptions, stream, revision)).await?;
        let span = self.open();
        if let Some(traceparent) = &made.traceparent {
            span.link(traceparent);
        }
        self.batch.bytes += made.bytes;
        self.batch.events += 1;
        self.batch.hidden += u64::from(made.previous == LastRelayed::Unknown);
        self.batch.left_out.add(made.left_out);
        if made.upcasted {
            add(&mut self.batch.upcast, &event.event_type, 1);
        }
        if made.dropped_fields > 0 {
            add(&mut self.batch.dropped_fields, &event.event_type, made.dropped_fields);
        }
        self.maker.relayed(event);
        self.last.insert(made.record.partition, event.position.commit);
        self.note_version(&event.event_type, made.stored_version);
        self.batch.records.push(made.record);
        Ok(())
    }

    /// Notes a type of which a record was made.
    fn note_version(&mut self, event_type: &str, version: Option<u32>) {
        let versions = match self.seen_versions.get_mut(event_type) {
            Some(versions) => versions,
            None => self.seen_versions.entry(event_type.to_owned()).or_default(),
        };
        versions.extend(version);
    }

    /// The checkpoint after the records of the batch.
    pub(crate) fn checkpoint_at(&self, position: Position) -> Checkpoint {
        self.definition.checkpoint_at(position, &self.seen_versions, &self.since, &self.last)
    }

    /// Takes the batch; the next one is empty.
    pub(crate) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

/// Whether an earlier event that the route selects is in the topic.
fn earlier_event(exceptions: Option<&Exceptions>, stream: &StreamName, revision: Revision) -> EarlierEvent {
    match exceptions.and_then(|it| it.get(stream, revision)) {
        Some(exception) => EarlierEvent::NotRelayed { last: exception.last },
        None => EarlierEvent::Relayed,
    }
}

fn add(counts: &mut BTreeMap<String, u64>, event_type: &str, more: u64) {
    match counts.get_mut(event_type) {
        Some(count) => *count += more,
        None => {
            counts.insert(event_type.to_owned(), more);
        }
    }
}
