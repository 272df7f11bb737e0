//! Executes commands, with what surrounds them: a span, metrics, and the event bus of the process.

use std::sync::Arc;
use std::time::Instant;

use aqueduct_core::mapping::EventMapping;
use aqueduct_core::{
    Aggregate, Codec, CommandRequest, CommandResult, EventBus, EventStore, ExecuteError, Position,
    Repository, RepositoryOptions, StreamName,
};
use aqueduct_service::trace;
use tracing::Instrument as _;

use crate::metrics::{self, Outcome};

/// A command with a name for metrics and spans.
pub trait Command: Send + Sync + 'static {
    /// `CreateOrder`: the name of the type, unless it is overridden.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }
}

/// Published on the bus after an append by this process: the events are durable. At most once and in this
/// process only; a duplicate command publishes nothing.
#[derive(Debug)]
pub struct Committed<E> {
    /// The stream they were appended to.
    pub stream: StreamName,
    /// What was appended.
    pub events: Vec<E>,
    /// Place of the last one in `$all`.
    pub position: Position,
}

/// Executes the commands to the aggregates of one type. Cheap to share behind an [`Arc`]; commands to one
/// aggregate run one after the other, commands to different ones concurrently.
pub struct Commands<A: Aggregate> {
    repository: Repository<A, Arc<dyn EventStore>, Arc<dyn Codec>>,
    bus: Arc<EventBus>,
}

impl<A: Aggregate> Commands<A>
where
    A::Command: Command,
{
    /// Commands to aggregates in `store`, whose events `codec` checks and reads.
    pub fn new(store: Arc<dyn EventStore>, codec: Arc<dyn Codec>, bus: Arc<EventBus>) -> Self {
        Self::with_mapping(store, codec, bus, None)
    }

    /// Commands to aggregates to whose streams others may write: their events are read through `mapping`, see
    /// [`Connections::mapping`](crate::Connections::mapping).
    pub fn with_mapping(
        store: Arc<dyn EventStore>,
        codec: Arc<dyn Codec>,
        bus: Arc<EventBus>,
        mapping: Option<Arc<EventMapping>>,
    ) -> Self {
        let options = RepositoryOptions { mapping, ..RepositoryOptions::default() };
        Self { repository: Repository::with_options(store, codec, options), bus }
    }

    /// Executes a command and returns when its events are durable, or with the first result if it was
    /// executed before. Conflicts and transient faults are retried within the repository's bounds.
    pub async fn execute(
        &self,
        id: &str,
        mut request: CommandRequest<A::Command>,
    ) -> Result<CommandResult<A::Event>, ExecuteError<A::Error>> {
        let (begun, command) = (Instant::now(), request.command.name());
        let span = tracing::info_span!("command", aggregate = A::TYPE, id, command);
        let executed = async {
            request.traceparent = trace::current_traceparent().or(request.traceparent);
            self.repository.execute(id, &request).await
        };
        let result = executed.instrument(span).await;
        metrics::command(A::TYPE, command, Outcome::of(&result), begun.elapsed());
        match result {
            Ok(CommandResult { events, duplicate, position: Some(position) }) => {
                let events = self.publish(id, events, position).await;
                Ok(CommandResult { events, duplicate, position: Some(position) })
            }
            other => other,
        }
    }

    /// Reads the aggregate as it is in the store now.
    pub async fn inspect<T>(
        &self,
        id: &str,
        read: impl FnOnce(&A) -> T,
    ) -> Result<T, ExecuteError<A::Error>> {
        self.repository.inspect(id, read).await
    }

    async fn publish(&self, id: &str, events: Vec<A::Event>, position: Position) -> Vec<A::Event> {
        let committed = Committed { stream: StreamName::of(A::TYPE, id), events, position };
        metrics::appended(&committed.events);
        for failure in self.bus.publish(&committed).await {
            tracing::warn!(stream = %committed.stream, error = &failure as &dyn std::error::Error, "subscriber failed");
        }
        committed.events
    }
}
