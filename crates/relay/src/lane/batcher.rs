//! Encodes events and groups them into batches, before any byte of a batch is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aqueduct_core::{
    AllItem, ErrorKind, EventStore, Position, RecordedEvent, Revision, StoreError, StreamName,
};
use aqueduct_schema::RecordEncoder;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::lane::batch::{Batch, SealedBatch};
use crate::lane::known_streams::EarlierEvent;
use crate::lane::parking::Parking;
use crate::lane::problem::{EventError, EventProblem};
use crate::lane::record_maker::RecordMaker;
use crate::lane::requests::{Input, Stalled};
use crate::lane::route_selector::RouteSelector;
use crate::lane::trace::BatchSpan;
use crate::lane_definition::LaneDefinition;
use crate::options::Options;
use crate::record::checkpoint::Checkpoint;
use crate::record::exception::{ExceptionCounts, LastRelayed};
use crate::record::reference::EventReference;
use crate::status::{LaneReporter, LaneState};

/// Reads `$all` and sends sealed batches.
pub(crate) struct LaneReader<'a> {
    /// `ce_source` of every record.
    pub(crate) source: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) definition: &'a LaneDefinition,
    pub(crate) store: &'a dyn EventStore,
    pub(crate) encoder: &'a RecordEncoder,
    pub(crate) reporter: &'a LaneReporter,
}

impl LaneReader<'_> {
    /// Reads the store from the checkpoint on and hands on batches, until `stop` is cancelled or nobody
    /// takes them. While one batch is in its transaction the next one fills.
    pub(crate) async fn run(
        &self,
        checkpoint: Option<Checkpoint>,
        parking: Option<Parking>,
        batches: mpsc::Sender<SealedBatch>,
        stop: &CancellationToken,
    ) -> Result<(), LaneError> {
        let mut batcher = Batcher::new(self, checkpoint, parking);
        let turns = Arc::new(Semaphore::new(1));
        let mut events = self.store.subscribe_all(batcher.received);
        self.reporter.set(LaneState::Running);
        loop {
            batcher.resolve_halted_requests().await;
            let (due_at, now) = (batcher.due_at(), Instant::now());
            let due = due_at.is_some_and(|at| at <= now);
            let overdue = is_overdue(due_at, now, self.options.idle_checkpoint());
            let committing = batcher.is_committing();
            // A full batch, or a due checkpoint without records, is sealed before more events are read.
            let urgent =
                batcher.is_full() || committing || overdue || (due && batcher.batch.opened.is_none());
            let retry_at = batcher.blocked.as_ref().map(|blocked| blocked.again);
            let takes_events = !urgent && retry_at.is_none() && batcher.takes_events();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = until(retry_at), if retry_at.is_some() => batcher.retry().await,
                event = next(&mut events), if takes_events => batcher.handle_event(event?).await?,
                input = input(&mut batcher.parking, !urgent) => batcher.handle(input).await?,
                turn = Arc::clone(&turns).acquire_owned(), if urgent || due => {
                    let Ok(turn) = turn else { return Ok(()) };
                    if committing && batcher.batch.opened.is_none() {
                        // The transaction before has ended, and there is nothing else to commit.
                        batcher.committed();
                        continue;
                    }
                    if batches.send(SealedBatch { batch: batcher.seal(), turn }).is_err() {
                        // The thread that writes them has ended and reports the reason.
                        return Ok(());
                    }
                }
                () = until(due_at), if !due && due_at.is_some() => {}
            }
        }
    }
}

async fn next(
    events: &mut BoxStream<'static, Result<AllItem, StoreError>>,
) -> Result<RecordedEvent, LaneError> {
    loop {
        match events.next().await {
            Some(Ok(AllItem::Event(event))) => return Ok(event),
            Some(Ok(AllItem::CaughtUp)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(LaneError::SubscriptionEnded),
        }
    }
}

/// What a lane with requests must deal with; never completes for any other lane.
async fn input(parking: &mut Option<Parking>, scan: bool) -> Input {
    match parking {
        Some(parking) => parking.requests.input(scan).await,
        None => std::future::pending().await,
    }
}

/// Whether a batch must not wait any longer for a moment at which no event is ready: behind the head of the store there
/// may be none for hours.
fn is_overdue(due_at: Option<Instant>, now: Instant, patience: Duration) -> bool {
    due_at.is_some_and(|at| at + patience <= now)
}

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

/// The batch that is being filled, and what the lane must remember between batches.
pub(super) struct Batcher<'a> {
    pub(super) lane: &'a LaneReader<'a>,
    maker: RecordMaker<'a>,
    /// Types of which records were made, as stored, with the versions in which they were stored.
    seen_versions: BTreeMap<String, BTreeSet<u32>>,
    /// Event types that were added to the route, each with the position from which on it counts.
    since: BTreeMap<String, Position>,
    /// The last record written to each partition.
    last: BTreeMap<i32, u64>,
    /// Number of the last batch handed on.
    number: u64,
    /// Position of the last event dealt with.
    pub(super) received: Option<Position>,
    /// Position of the last checkpoint handed on, and when that was.
    sealed: Option<Position>,
    sealed_at: Instant,
    pub(super) batch: Batch,
    pub(super) blocked: Option<BlockedEvent>,
    /// `None` where the route's topics for it were not created.
    pub(super) parking: Option<Parking>,
}

/// An event at which the lane waits.
pub(super) struct BlockedEvent {
    pub(super) event: RecordedEvent,
    /// Only an operator can help.
    pub(super) is_halted: bool,
    pause: Duration,
    again: Instant,
}

impl BlockedEvent {
    /// Whether the lane is halted at this event. Its position says less: a store may give it another one in its stream
    /// than in `$all`.
    pub(super) fn is_halted_at(&self, event: &EventReference) -> bool {
        self.is_halted && self.event.revision == event.revision && self.event.stream == event.stream
    }
}

impl<'a> Batcher<'a> {
    fn new(lane: &'a LaneReader<'a>, checkpoint: Option<Checkpoint>, parking: Option<Parking>) -> Self {
        let LaneReader { source, options, definition, store, encoder, .. } = *lane;
        let received = checkpoint.as_ref().map(|it| it.position);
        let number = checkpoint.as_ref().map_or(0, |it| it.batch);
        let since = checkpoint.as_ref().map(|it| definition.added_types(it)).unwrap_or_default();
        let (seen_versions, last) = checkpoint.map(|it| (it.seen_versions, it.last)).unwrap_or_default();
        let selector = RouteSelector::new(&definition.route.selection(), &since);
        Self {
            lane,
            maker: RecordMaker::new(source, options, definition, store, encoder, selector),
            seen_versions,
            since,
            last,
            number,
            received,
            sealed: received,
            sealed_at: Instant::now(),
            batch: Batch::default(),
            blocked: None,
            parking,
        }
    }

    /// Whether everything taken so far must be committed before a request can be finished.
    fn is_committing(&self) -> bool {
        self.parking.as_ref().is_some_and(|it| it.requests.is_committing())
    }

    fn takes_events(&self) -> bool {
        self.parking.as_ref().is_none_or(|it| it.requests.takes_events())
    }

    fn committed(&mut self) {
        self.parking.iter_mut().for_each(|it| it.requests.committed());
    }

    fn is_full(&self) -> bool {
        let options = self.lane.options;
        self.batch.records.len() >= options.batch_records.get()
            || self.batch.bytes >= options.batch_bytes.get()
    }

    /// When the batch must be sealed, if there is anything to write.
    fn due_at(&self) -> Option<Instant> {
        if let Some((opened, _)) = &self.batch.opened {
            // Nothing is added to it while the lane is blocked.
            let wait = if self.blocked.is_some() { Duration::ZERO } else { self.lane.options.linger() };
            Some(*opened + wait)
        } else if self.received > self.sealed {
            Some(self.sealed_at + self.lane.options.idle_checkpoint())
        } else {
            None
        }
    }

    async fn handle_event(&mut self, event: RecordedEvent) -> Result<(), LaneError> {
        if let Some(from) = self.received
            && event.position <= from
        {
            return Err(LaneError::Disorder { from, to: event.position, reference: event.reference() });
        }
        self.parking.iter_mut().for_each(|it| it.requests.event_taken());
        if self.maker.is_ours(&event) {
            self.relay_or_block(event, Duration::ZERO).await;
        } else {
            self.received = Some(event.position);
        }
        Ok(())
    }

    async fn retry(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            self.relay_or_block(blocked.event, blocked.pause).await;
        }
    }

    async fn relay_or_block(&mut self, event: RecordedEvent, pause: Duration) {
        match self.relay_or_record_exception(&event).await {
            Ok(()) => {
                self.received = Some(event.position);
                if pause > Duration::ZERO {
                    self.report_unblocked();
                }
            }
            Err(problem) => self.block(event, problem, pause),
        }
    }

    /// Reports the state of a lane that waits at no event: a replay may wait.
    pub(super) fn report_unblocked(&self) {
        let execution = self.parking.as_ref().and_then(|it| it.requests.running.as_ref());
        let stalled = execution.and_then(|it| it.stalled.as_ref());
        self.lane.reporter.set(match stalled {
            Some(Stalled { problem, .. }) => LaneState::Retrying { problem: problem.clone() },
            None => LaneState::Running,
        });
    }

    /// The revision of the stream's last record before an event, of which no earlier one is parked.
    pub(super) async fn last_relayed(&mut self, event: &RecordedEvent) -> Result<LastRelayed, StoreError> {
        let parking = self.parking.as_ref();
        self.maker.last_relayed(event, |stream, revision| earlier_event(parking, stream, revision)).await
    }

    /// Begins the batch, where it has not begun.
    pub(super) fn open_batch(&mut self) -> &mut BatchSpan {
        let LaneDefinition { route, lane, .. } = self.lane.definition;
        self.batch.open(&route.name, *lane)
    }

    /// Adds the event's record to the batch, or leaves everything as it is.
    pub(super) async fn make_record(&mut self, event: &RecordedEvent) -> Result<(), EventProblem> {
        let parking = self.parking.as_ref();
        let made =
            self.maker.make(event, |stream, revision| earlier_event(parking, stream, revision)).await?;
        let span = self.open_batch();
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
        self.seen(&event.event_type, made.stored_version);
        self.batch.records.push(made.record);
        Ok(())
    }

    /// Notes a type of which a record was made.
    fn seen(&mut self, event_type: &str, version: Option<u32>) {
        if !self.seen_versions.contains_key(event_type) {
            self.seen_versions.insert(event_type.to_owned(), BTreeSet::new());
        }
        if let (Some(versions), Some(version)) = (self.seen_versions.get_mut(event_type), version) {
            versions.insert(version);
        }
    }

    /// Waits at an event. What was prepared before it is written.
    fn block(&mut self, event: RecordedEvent, problem: EventProblem, pause: Duration) {
        let options = self.lane.options;
        self.lane.reporter.metrics.error(problem.label());
        let is_transient = problem.kind() == ErrorKind::Retry;
        let (route, lane) = (&self.lane.definition.route.name, self.lane.definition.lane);
        let can_park = self.parking.is_some();
        let problem =
            EventError::new(route, event.reference(), &event.event_type, &problem, can_park).to_string();
        let pause = if is_transient {
            tracing::warn!(route, lane, error = problem, "lane blocked by an event, retrying");
            self.lane.reporter.set(LaneState::Retrying { problem });
            (pause * 2).clamp(options.retry(), options.halt_retry())
        } else {
            tracing::error!(route, lane, error = problem, "lane halted by an event");
            self.lane.reporter.set(LaneState::Halted { problem });
            options.halt_retry()
        };
        let again = Instant::now() + pause;
        self.blocked = Some(BlockedEvent { event, is_halted: !is_transient, pause, again });
    }

    /// The batch, complete with its checkpoint.
    fn seal(&mut self) -> Batch {
        let definition = self.lane.definition;
        let mut batch = std::mem::take(&mut self.batch);
        self.number += 1;
        let mut counts = ExceptionCounts::default();
        if let Some(Parking { log, requests, .. }) = &mut self.parking {
            requests.write(log, &mut batch);
            counts = log.exceptions.counts();
            batch.parked = Some(counts.parked);
            log.number(&mut batch, self.number);
        }
        if let Some(position) = self.received {
            let Self { seen_versions, since, last, .. } = self;
            let checkpoint = definition
                .checkpoint_at(position, seen_versions, since, last)
                .with_batch(self.number, counts);
            batch.records.push(definition.checkpoint_record(checkpoint));
        }
        batch.position = self.received;
        self.sealed = self.received;
        self.sealed_at = Instant::now();
        batch
    }
}

/// Whether an earlier event that the route selects is in the topic.
fn earlier_event(parking: Option<&Parking>, stream: &StreamName, revision: Revision) -> EarlierEvent {
    match parking.and_then(|it| it.log.exceptions.get(stream, revision)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parked::ParkedEvent;

    #[test]
    fn a_batch_waits_for_ready_events_only_for_a_while() {
        let (now, patience) = (Instant::now() + Duration::from_secs(60), Duration::from_secs(10));
        assert!(!is_overdue(None, now, patience));
        assert!(!is_overdue(Some(now), now, patience));
        assert!(is_overdue(Some(now - patience), now, patience));
    }

    #[test]
    fn a_halted_lane_is_known_by_the_event_and_not_by_its_position() {
        let reference = |text: &str| -> EventReference { text.parse().unwrap() };
        let blocked = |is_halted, commit| {
            let mut event = ParkedEvent::at(reference("7@a-1"), Default::default()).event;
            event.position.commit = commit;
            BlockedEvent { event, is_halted, pause: Duration::ZERO, again: Instant::now() }
        };
        for position in [9, 1_000] {
            assert!(blocked(true, position).is_halted_at(&reference("7@a-1")));
        }
        assert!(!blocked(false, 9).is_halted_at(&reference("7@a-1")));
        assert!(!blocked(true, 9).is_halted_at(&reference("8@a-1")));
        assert!(!blocked(true, 9).is_halted_at(&reference("7@a-2")));
    }
}
