//! Measures sequential appends through the adapter and through the unmodified client.

use std::time::Duration;

use aqueduct_core::{AppendError, CommandId, EventStore, ExpectedRevision, NewEvent, StreamName};
use eventstore::{AppendToStreamOptions, Client, EventData};
use tokio::time::Instant;

use crate::event;

/// The number of appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Rounds. Both clients are measured in each, so that other load on the machine affects both.
    pub rounds: usize,
    /// Appends through the adapter in each round.
    pub adapter_appends: usize,
    /// Appends through the unmodified client in each round: fewer, they take 44 ms each.
    pub unmodified_appends: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 5, adapter_appends: 5_000, unmodified_appends: 25 }
    }
}

/// The result of one round, in appends per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Through the adapter.
    pub adapter: f64,
    /// Through the `eventstore` crate as it is.
    pub unmodified: f64,
}

impl Round {
    /// The adapter's rate as a multiple of the other.
    pub fn ratio(&self) -> f64 {
        self.adapter / self.unmodified
    }
}

/// The measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Through the adapter.
    #[error("an append through the adapter failed")]
    Adapter(#[from] AppendError),
    /// Through the unmodified client.
    #[error("an append through the unmodified client failed")]
    Unmodified(#[from] eventstore::Error),
    /// The other store's address.
    #[error("the connection string is invalid for the unmodified client")]
    Url(#[from] eventstore::ClientSettingsParseError),
    /// The event.
    #[error("the event cannot be serialised")]
    Event(#[from] serde_json::Error),
}

/// Appends events of about 300 bytes, one after the other, through `store` and through the unmodified client to the
/// store at `url`. **That must be another server** than the adapter's: TCP_NODELAY is set on all sockets of the
/// process to the adapter's server, so it would speed up the other client too.
pub async fn appends_one_by_one(
    store: &dyn EventStore,
    url: &str,
    plan: Plan,
) -> Result<Vec<Round>, BenchError> {
    let stream = StreamName::of("bench", &CommandId::random().to_string());
    let unmodified = Client::new(url.parse()?)?;
    // The connections are not part of the measurement.
    append(store, &stream, 1).await?;
    append_unmodified(&unmodified, &stream, 1).await?;
    let mut rounds = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        rounds.push(Round {
            adapter: rate(plan.adapter_appends, append(store, &stream, plan.adapter_appends).await?),
            unmodified: rate(
                plan.unmodified_appends,
                append_unmodified(&unmodified, &stream, plan.unmodified_appends).await?,
            ),
        });
    }
    Ok(rounds)
}

async fn append(store: &dyn EventStore, stream: &StreamName, count: usize) -> Result<Duration, BenchError> {
    let begun = Instant::now();
    for _ in 0..count {
        store.append(stream, ExpectedRevision::Any, &[event()]).await?;
    }
    Ok(begun.elapsed())
}

async fn append_unmodified(
    client: &Client,
    stream: &StreamName,
    count: usize,
) -> Result<Duration, BenchError> {
    let options = AppendToStreamOptions::default();
    let begun = Instant::now();
    for _ in 0..count {
        let data: EventData = event::to_client(&event())?;
        client.append_to_stream(stream.as_str(), &options, data).await?;
    }
    Ok(begun.elapsed())
}

fn event() -> NewEvent {
    NewEvent {
        id: CommandId::random().as_uuid(),
        event_type: "Measured".to_owned(),
        data: format!(r#"{{"text":"{:a<288}"}}"#, "").into(),
        metadata: Default::default(),
    }
}

fn rate(count: usize, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}
