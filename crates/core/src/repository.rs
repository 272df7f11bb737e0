//! Loading aggregates and executing commands on them.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use lru::LruCache;
use tokio::sync::Mutex;

use crate::aggregate::{Aggregate, DomainEvent as _};
use crate::codec::Codec;
use crate::command::{CommandRequest, CommandResult, ExecuteError};
use crate::envelope::{Metadata, NewEvent};
use crate::error::ErrorKind;
use crate::ids::{CommandId, Revision, StreamName};
use crate::mapping::EventMapping;
use crate::store::{AppendError, EventStore, ExpectedRevision, StoreError};
use crate::stored_event::EventReader;

/// Bounds of a [`Repository`].
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Number of aggregates kept in memory; the least recently used is evicted first.
    pub cached_aggregates: NonZeroUsize,
    /// Events per read when an aggregate is loaded.
    pub page: NonZeroUsize,
    /// Number of retries after a conflict or a transient error.
    pub retries: usize,
    /// Delay before the first retry; doubles with each one, with jitter, up to a hundredfold.
    pub first_delay: Duration,
    /// The mapping of events that others wrote to the aggregates' streams, for example to a stream that another
    /// service began. An event without a command id belongs to no command.
    pub mapping: Option<Arc<EventMapping>>,
}

impl Default for RepositoryOptions {
    fn default() -> Self {
        const CACHED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
        const PAGE: NonZeroUsize = NonZeroUsize::new(512).unwrap();
        Self {
            cached_aggregates: CACHED,
            page: PAGE,
            retries: 10,
            first_delay: Duration::from_millis(5),
            mapping: None,
        }
    }
}

/// Executes commands on the aggregates of one type.
///
/// Within a repository, commands on one aggregate run one after the other. Between repositories and processes the
/// expected revision detects conflicts. A command that was executed before gets its first result, because its id
/// is in the metadata of its events.
pub struct Repository<A: Aggregate, S, C> {
    store: S,
    codec: C,
    options: RepositoryOptions,
    /// Of the options, or the built-in one.
    mapping: Arc<EventMapping>,
    cache: SyncMutex<LruCache<StreamName, Arc<Mutex<Loaded<A>>>>>,
}

/// An aggregate as of a revision, with the commands it has executed.
struct Loaded<A> {
    state: A,
    last: Option<Revision>,
    executed: HashMap<CommandId, Range<Revision>>,
}

impl<A: Aggregate> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: A::default(), last: None, executed: HashMap::new() }
    }
}

impl<A: Aggregate> Loaded<A> {
    fn next(&self) -> Revision {
        self.last.map_or(0, |last| last + 1)
    }

    fn apply(&mut self, revision: Revision, command: Option<CommandId>, event: &A::Event) {
        self.state.apply(event);
        self.last = Some(revision);
        if let Some(command) = command {
            let range = self.executed.entry(command).or_insert(revision..revision);
            // The events of one command are neighbours. Other programs may use an id again later.
            if range.end == revision {
                range.end = revision + 1;
            }
        }
    }
}

impl<A: Aggregate, S: EventStore, C: Codec> Repository<A, S, C> {
    /// A repository with the usual bounds.
    pub fn new(store: S, codec: C) -> Self {
        Self::with_options(store, codec, RepositoryOptions::default())
    }

    /// A repository with bounds of one's own.
    pub fn with_options(store: S, codec: C, options: RepositoryOptions) -> Self {
        let cache = SyncMutex::new(LruCache::new(options.cached_aggregates));
        let mapping = options.mapping.clone().unwrap_or_default();
        Self { store, codec, options, mapping, cache }
    }

    /// Executes a command and returns when its events are durable in the store. Conflicts and faults that
    /// may pass are tried again, with backoff, on the state as it is then.
    pub async fn execute(
        &self,
        aggregate_id: &str,
        request: &CommandRequest<A::Command>,
    ) -> Result<CommandResult<A::Event>, ExecuteError<A::Error>> {
        let stream = StreamName::of(A::TYPE, aggregate_id);
        let slot = self.slot(&stream);
        let mut loaded = slot.lock().await;
        let mut delays = self.delays();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.attempt(&stream, aggregate_id, &mut loaded, request, attempts > 1).await
            {
                Ok(result) => return Ok(result),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Transient(error)) => error,
            };
            let Some(delay) = delays.next() else {
                return Err(ExecuteError::Exhausted { stream, attempts, source: failure });
            };
            tracing::debug!(%stream, attempts, error = %failure, "retrying command");
            tokio::time::sleep(delay).await;
        }
    }

    /// Reads the current state of an aggregate, caught up with the store, through the given function.
    pub async fn inspect<T>(
        &self,
        aggregate_id: &str,
        read: impl FnOnce(&A) -> T,
    ) -> Result<T, ExecuteError<A::Error>> {
        let stream = StreamName::of(A::TYPE, aggregate_id);
        let slot = self.slot(&stream);
        let mut loaded = slot.lock().await;
        match self.catch_up(&stream, &mut loaded).await {
            Ok(()) => Ok(read(&loaded.state)),
            Err(Attempt::Failed(error)) => Err(error),
            Err(Attempt::Transient(source)) => Err(ExecuteError::Exhausted { stream, attempts: 1, source }),
        }
    }

    fn slot(&self, stream: &StreamName) -> Arc<Mutex<Loaded<A>>> {
        // Only the cache's own bookkeeping runs under this lock: a panic cannot leave a half-applied aggregate
        // behind, so a poisoned lock is still usable.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cache.get_or_insert(stream.clone(), Arc::default))
    }

    fn delays(&self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.options.first_delay)
            .with_max_delay(self.options.first_delay * 100)
            .with_max_times(self.options.retries)
            .build()
    }

    async fn attempt(
        &self,
        stream: &StreamName,
        aggregate_id: &str,
        loaded: &mut Loaded<A>,
        request: &CommandRequest<A::Command>,
        stale: bool,
    ) -> Result<CommandResult<A::Event>, Attempt<A::Error>> {
        // The cached state may be behind another process's writes. The append's expected revision detects that, so
        // a loaded aggregate is caught up only after a failure.
        if stale || loaded.last.is_none() {
            self.catch_up(stream, loaded).await?;
        }
        if let Some(range) = loaded.executed.get(&request.id).cloned() {
            return self.first_result(stream, range, request).await;
        }
        let events = match loaded.state.handle(&request.command) {
            Ok(events) => events,
            // A refusal must refer to the current state: no append will fail to reveal a stale one.
            Err(error) if stale => return Err(Attempt::Failed(ExecuteError::Domain(error))),
            Err(_) => return self.decide_on_current(stream, aggregate_id, loaded, request).await,
        };
        if events.is_empty() {
            return if stale {
                Ok(CommandResult { events, duplicate: false, position: None })
            } else {
                self.decide_on_current(stream, aggregate_id, loaded, request).await
            };
        }
        let new = self.encode(aggregate_id, request, &events)?;
        let expected = ExpectedRevision::after(loaded.last);
        let appended = self.store.append(stream, expected, &new).await.map_err(Attempt::from_append)?;
        // The store's revision, not ours: a soft-deleted stream reads as empty, but continues its numbering.
        let first = (appended.revision + 1).saturating_sub(events.len() as Revision);
        for (revision, event) in (first..).zip(&events) {
            loaded.apply(revision, Some(request.id), event);
        }
        Ok(CommandResult { events, duplicate: false, position: Some(appended.position) })
    }

    /// Decides again after reading what the cache may have missed.
    async fn decide_on_current(
        &self,
        stream: &StreamName,
        aggregate_id: &str,
        loaded: &mut Loaded<A>,
        request: &CommandRequest<A::Command>,
    ) -> Result<CommandResult<A::Event>, Attempt<A::Error>> {
        Box::pin(self.attempt(stream, aggregate_id, loaded, request, true)).await
    }

    async fn catch_up(&self, stream: &StreamName, loaded: &mut Loaded<A>) -> Result<(), Attempt<A::Error>> {
        let page = self.options.page.get();
        loop {
            let read = self.store.read_stream(stream, loaded.next(), page).await;
            let recorded = read.map_err(Attempt::from_store)?;
            for stored in &recorded {
                let read = self.reader().read(stored).map_err(ExecuteError::Unreadable)?;
                loaded.apply(stored.revision, read.command, &read.event);
            }
            if recorded.len() < page {
                return Ok(());
            }
        }
    }

    async fn first_result(
        &self,
        stream: &StreamName,
        range: Range<Revision>,
        request: &CommandRequest<A::Command>,
    ) -> Result<CommandResult<A::Event>, Attempt<A::Error>> {
        let count = (range.end - range.start) as usize;
        let read = self.store.read_stream(stream, range.start, count).await;
        let recorded = read.map_err(Attempt::from_store)?;
        if let Some(first) = recorded.first()
            && let (Some(stored), Some(sent)) = (first.command_fingerprint(), request.fingerprint)
            && stored != sent
        {
            return Err(ExecuteError::CommandIdReused { id: request.id, reference: first.reference() }.into());
        }
        let mut events = Vec::with_capacity(count);
        for stored in recorded {
            events.push(self.reader().read(&stored).map_err(ExecuteError::Unreadable)?.event);
        }
        Ok(CommandResult { events, duplicate: true, position: None })
    }

    fn reader(&self) -> EventReader<'_, C> {
        EventReader {
            codec: &self.codec,
            mapping: &self.mapping,
            foreign: self.options.mapping.is_some(),
            aggregate_type: A::TYPE,
        }
    }

    fn encode(
        &self,
        aggregate_id: &str,
        request: &CommandRequest<A::Command>,
        events: &[A::Event],
    ) -> Result<Vec<NewEvent>, ExecuteError<A::Error>> {
        let json_error = |event: &A::Event| {
            let event_type = event.event_type().to_owned();
            move |source| ExecuteError::Json { event_type, source }
        };
        let timestamp = Timestamp::now();
        let mut new = Vec::with_capacity(events.len());
        for (n, event) in events.iter().enumerate() {
            let json = event.to_json().map_err(json_error(event))?;
            let (schema_version, data) = self.codec.encode(event.event_type(), json)?;
            let metadata = Metadata {
                schema_version,
                aggregate_type: A::TYPE.to_owned(),
                aggregate_id: aggregate_id.to_owned(),
                timestamp,
                correlation_id: request.correlation_id,
                causation_id: request.causation_id,
                command_id: request.id,
                traceparent: request.traceparent.clone(),
                command_fingerprint: request.fingerprint,
            };
            new.push(NewEvent {
                id: request.id.event_id(n),
                event_type: event.event_type().to_owned(),
                data,
                metadata: serde_json::to_vec(&metadata).map_err(json_error(event))?.into(),
            });
        }
        Ok(new)
    }
}

/// Why one attempt at a command failed.
enum Attempt<D: std::error::Error + 'static> {
    Failed(ExecuteError<D>),
    Transient(AppendError),
}

impl<D: std::error::Error> Attempt<D> {
    fn from_append(error: AppendError) -> Self {
        match error {
            AppendError::WrongExpectedRevision { .. } => Self::Transient(error),
            AppendError::Store(error) => Self::from_store(error),
        }
    }

    fn from_store(error: StoreError) -> Self {
        match error.kind() {
            ErrorKind::Retry => Self::Transient(error.into()),
            ErrorKind::Park | ErrorKind::Stop => Self::Failed(ExecuteError::Store(error)),
        }
    }
}

impl<D: std::error::Error> From<ExecuteError<D>> for Attempt<D> {
    fn from(error: ExecuteError<D>) -> Self {
        Self::Failed(error)
    }
}
