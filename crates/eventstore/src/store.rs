//! The adapter.

use std::sync::Arc;

use aqueduct_core::{
    AllItem, AppendError, Appended, EventStore, ExpectedRevision, NewEvent, Position, RecordedEvent,
    Revision, StoreError, StreamName,
};
use async_trait::async_trait;
use eventstore::{ReadStreamOptions, StreamPosition};
use futures::stream::BoxStream;

use crate::connection::Connection;
use crate::connection_string::redact;
use crate::options::{Options, OptionsError};
use crate::pool::ConnectionPool;
use crate::shared::Shared;
use crate::subscription;

/// EventStoreDB (23.10 or later) as core's event store. Cloning is cheap, clones share their connections.
///
/// The first call connects, and every call reconnects if necessary: after an outage of the store the same value
/// continues to work. Operations need a tokio runtime.
#[derive(Debug, Clone)]
pub struct EventStoreDb {
    shared: Arc<Shared>,
}

impl EventStoreDb {
    /// Checks the options; does not connect.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let settings = options.settings()?;
        let shown_url: Arc<str> = redact(&options.url).into();
        let time_out = options.operation_timeout();
        let connect =
            move |url: &Arc<str>| Arc::new(Connection::new(settings.clone(), Arc::clone(url), time_out));
        let connection = connect(&shown_url);
        let subscriptions = ConnectionPool::new({
            let url = Arc::clone(&shown_url);
            move || connect(&url)
        });
        Ok(Self { shared: Arc::new(Shared { options, shown_url, connection, subscriptions }) })
    }

    /// Connects, so that neither the first operation nor the first subscription waits for it. Failures are ignored: the
    /// first call connects then.
    pub async fn connect_ahead(&self) {
        self.shared.connect_ahead().await;
    }
}

/// No event has a higher revision.
const LAST_REVISION: Revision = i64::MAX as Revision;

#[async_trait]
impl EventStore for EventStoreDb {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        self.shared.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        // The server's revisions are signed numbers.
        if from > LAST_REVISION {
            return Ok(Vec::new());
        }
        let from = ReadStreamOptions::default().position(StreamPosition::Position(from)).forwards();
        self.shared.read(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let from = if from <= LAST_REVISION { StreamPosition::Position(from) } else { StreamPosition::End };
        self.shared.read(stream, ReadStreamOptions::default().position(from).backwards(), limit).await
    }

    /// From the first poll on, the subscription runs on a task of its own. It reads ahead as configured and ends
    /// when the stream is dropped.
    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        subscription::stream(Arc::clone(&self.shared), after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.shared.last_position().await
    }
}
