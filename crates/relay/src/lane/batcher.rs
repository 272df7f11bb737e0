//! Events into batches: everything is decided here, before the first byte of a batch is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aqueduct_core::{
    AllItem, CodecError, ErrorKind, EventStore, MetadataError, Position, RecordedEvent, StoreError,
};
use aqueduct_schema::{RecordEncoder, RegistryError};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{LaneError, chain};
use crate::lane::batch::{Batch, SealedBatch};
use crate::lane::previous::{KnownStreams, Previous};
use crate::lane::trace::BatchSpan;
use crate::options::Options;
use crate::record::Record;
use crate::record::checkpoint::{Checkpoint, Ledger};
use crate::record::headers::{Encoding, Headers};
use crate::record::partition::partition_of;
use crate::status::{LaneReporter, LaneState};

/// An event that does not become a record. The lane waits at it: what comes after it may belong to the same
/// stream.
#[derive(Debug, thiserror::Error)]
#[error("event {reference} ({event_type}) can't become a record")]
struct EventError {
    /// `7@order-42`.
    reference: String,
    event_type: String,
    source: EventProblem,
}

#[derive(Debug, thiserror::Error)]
enum EventProblem {
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "the record has {bytes} bytes, more than relay.max_record_bytes ({max}) allows: raise it to at least {bytes}, \
         raise max.message.bytes of the topic accordingly, and restart the relay"
    )]
    TooLarge { bytes: usize, max: usize },
    #[error("the event before it in its stream can't be looked up")]
    LookUp(#[from] StoreError),
}

impl EventProblem {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Metadata(_) | Self::TooLarge { .. } => ErrorKind::Park,
            Self::Codec(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::LookUp(error) => error.kind(),
        }
    }

    /// Value of the metrics' label `kind`.
    fn label(&self) -> &'static str {
        match self {
            Self::Metadata(_) | Self::TooLarge { .. } | Self::Codec(_) => "event",
            Self::Registry(_) => "schema",
            Self::LookUp(_) => "store",
        }
    }
}

/// A lane's reading side.
pub(crate) struct LaneReader<'a> {
    /// `ce_source` of every record.
    pub(crate) source: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) ledger: &'a Ledger,
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
        batches: mpsc::Sender<SealedBatch>,
        stop: &CancellationToken,
    ) -> Result<(), LaneError> {
        let mut batcher = Batcher::new(self, checkpoint);
        let turns = Arc::new(Semaphore::new(1));
        let mut events = self.store.subscribe_all(batcher.received);
        self.reporter.set(LaneState::Running);
        loop {
            let due_at = batcher.due_at();
            let due = due_at.is_some_and(|at| at <= Instant::now());
            // A full batch takes no more, and a lane that only passes others' events stops for a checkpoint.
            let urgent = batcher.is_full() || (due && batcher.batch.events == 0);
            let retry_at = batcher.blocked.as_ref().map(|blocked| blocked.again);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = until(retry_at), if retry_at.is_some() => batcher.retry().await,
                event = next(&mut events), if !urgent && retry_at.is_none() => batcher.take(event?).await?,
                turn = Arc::clone(&turns).acquire_owned(), if urgent || due => {
                    let Ok(turn) = turn else { return Ok(()) };
                    if batches.send(SealedBatch { batch: batcher.seal(), turn }).is_err() {
                        // The thread that takes them has ended, and says why.
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

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

/// State of a lane's reading side.
struct Batcher<'a> {
    lane: &'a LaneReader<'a>,
    topic: Arc<str>,
    known: KnownStreams,
    seen_versions: BTreeMap<String, BTreeSet<u32>>,
    /// The last record written to each partition.
    last: BTreeMap<i32, u64>,
    /// Position of the last event dealt with.
    received: Option<Position>,
    /// Position of the last checkpoint handed on, and when that was.
    sealed: Option<Position>,
    sealed_at: Instant,
    batch: Batch,
    blocked: Option<BlockedEvent>,
}

/// An event at which the lane waits.
struct BlockedEvent {
    event: RecordedEvent,
    pause: Duration,
    again: Instant,
}

impl<'a> Batcher<'a> {
    fn new(lane: &'a LaneReader<'a>, checkpoint: Option<Checkpoint>) -> Self {
        let route = &lane.ledger.route;
        let received = checkpoint.as_ref().map(|it| it.position);
        let (seen_versions, last) = checkpoint.map(|it| (it.seen_versions, it.last)).unwrap_or_default();
        Self {
            lane,
            topic: route.topic.as_str().into(),
            known: KnownStreams::new(lane.options.known_streams),
            seen_versions,
            last,
            received,
            sealed: received,
            sealed_at: Instant::now(),
            batch: Batch::default(),
            blocked: None,
        }
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

    async fn take(&mut self, event: RecordedEvent) -> Result<(), LaneError> {
        if let Some(from) = self.received
            && event.position <= from
        {
            return Err(LaneError::Disorder { from, to: event.position, reference: event.reference() });
        }
        if self.is_ours(&event) {
            self.decide(event, Duration::ZERO).await;
        } else {
            self.received = Some(event.position);
        }
        Ok(())
    }

    async fn retry(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            self.decide(blocked.event, blocked.pause).await;
        }
    }

    fn is_ours(&self, event: &RecordedEvent) -> bool {
        let (stream, ledger) = (&event.stream, self.lane.ledger);
        !stream.is_system()
            && is_record_type(&event.event_type)
            && ledger.route.categories.contains(stream.category())
            && partition_of(stream.as_str(), ledger.lanes) == ledger.lane
    }

    async fn decide(&mut self, event: RecordedEvent, pause: Duration) {
        match self.make_record(&event).await {
            Ok(()) => {
                self.received = Some(event.position);
                if pause > Duration::ZERO {
                    self.lane.reporter.set(LaneState::Running);
                }
            }
            Err(problem) => self.block(event, problem, pause),
        }
    }

    /// Adds the event's record to the batch, or leaves everything as it is.
    async fn make_record(&mut self, event: &RecordedEvent) -> Result<(), EventProblem> {
        let Self { lane, .. } = self;
        let metadata = event.parse_metadata()?;
        let version = metadata.schema_version;
        lane.encoder.prepare([event.event_type.as_str()]).await?;
        let encoded = lane.encoder.encode(&event.event_type, version, &event.data)?;
        let previous = self.known.before(event, lane.store, is_record_type).await?;
        let encoding = Encoding { full_name: &encoded.full_name, schema_version: encoded.schema_version };
        let headers = Headers::of(lane.source, event, &metadata, &encoding, previous);

        let key = Bytes::copy_from_slice(event.stream.as_str().as_bytes());
        let bytes = key.len() + encoded.bytes.len() + headers.bytes;
        let max = lane.options.max_record_bytes.get();
        if bytes > max {
            return Err(EventProblem::TooLarge { bytes, max });
        }

        let route = &lane.ledger.route;
        let partition = partition_of(event.stream.as_str(), route.partitions.get()) as i32;
        let open = || (Instant::now(), BatchSpan::new(&route.name, lane.ledger.lane));
        let (_, span) = self.batch.opened.get_or_insert_with(open);
        if let Some(traceparent) = &metadata.traceparent {
            span.link(traceparent);
        }
        self.batch.records.push(Record {
            topic: Arc::clone(&self.topic),
            partition,
            key,
            value: encoded.bytes,
            headers: Some(headers.headers),
        });
        self.batch.bytes += bytes;
        self.batch.events += 1;
        self.batch.hidden += u64::from(previous == Previous::Hidden);
        if encoded.upcasted {
            count(&mut self.batch.upcast, &event.event_type);
        }
        self.known.passed(event);
        self.last.insert(partition, event.position.commit);
        match self.seen_versions.get_mut(&event.event_type) {
            Some(versions) if versions.contains(&version) => {}
            _ => {
                self.seen_versions.entry(event.event_type.clone()).or_default().insert(version);
            }
        }
        Ok(())
    }

    /// Waits at an event. What was prepared before it is written.
    fn block(&mut self, event: RecordedEvent, problem: EventProblem, pause: Duration) {
        let options = self.lane.options;
        self.lane.reporter.metrics.error(problem.label());
        let passes = problem.kind() == ErrorKind::Retry;
        let error = EventError {
            reference: event.reference(),
            event_type: event.event_type.clone(),
            source: problem,
        };
        let problem = chain(&error);
        let (route, lane) = (&self.lane.ledger.route.name, self.lane.ledger.lane);
        let pause = if passes {
            tracing::warn!(route, lane, problem, "lane blocked by an event, retrying");
            self.lane.reporter.set(LaneState::Retrying { problem });
            (pause * 2).clamp(options.retry(), options.halt_retry())
        } else {
            tracing::error!(route, lane, problem, "lane halted by an event");
            self.lane.reporter.set(LaneState::Halted { problem });
            options.halt_retry()
        };
        self.blocked = Some(BlockedEvent { event, pause, again: Instant::now() + pause });
    }

    /// The batch, complete with its checkpoint.
    fn seal(&mut self) -> Batch {
        let ledger = self.lane.ledger;
        let mut batch = std::mem::take(&mut self.batch);
        if let Some(position) = self.received {
            batch.records.push(ledger.record(ledger.at(position, &self.seen_versions, &self.last)));
        }
        batch.position = self.received;
        self.sealed = self.received;
        self.sealed_at = Instant::now();
        batch
    }
}

/// Links and system events never become records.
fn is_record_type(event_type: &str) -> bool {
    !event_type.starts_with('$')
}

fn count(counts: &mut BTreeMap<String, u64>, event_type: &str) {
    match counts.get_mut(event_type) {
        Some(count) => *count += 1,
        None => {
            counts.insert(event_type.to_owned(), 1);
        }
    }
}
