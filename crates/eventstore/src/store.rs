//! The port.

use std::future::Future;
use std::sync::Arc;

use aqueduct_core::{
    AllItem, AppendError, Appended, ErrorKind, EventStore, ExpectedRevision, NewEvent, Position,
    RecordedEvent, Revision, StoreError, StreamName,
};
use async_trait::async_trait;
use eventstore::{
    AppendToStreamOptions, Client, CurrentRevision, Error, ReadAllOptions, ReadStream, ReadStreamOptions,
    StreamPosition,
};
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::connection_string::redact;
use crate::error::Operation;
use crate::pool::ConnectionPool;
use crate::{Options, OptionsError, event, subscription};

/// EventStoreDB (23.10 or later) as core's event store. Cloning is cheap, clones share their connections.
///
/// The first call connects, and every call reconnects if necessary: after an outage of the store the same value
/// continues to work. Operations need a tokio runtime.
#[derive(Debug, Clone)]
pub struct EventStoreDb {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) shown_url: Arc<str>,
    connection: Arc<Connection>,
    pub(crate) subscriptions: ConnectionPool,
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
        Ok(Self { inner: Arc::new(Inner { options, shown_url, connection, subscriptions }) })
    }
}

/// No event has a higher revision.
const LAST_REVISION: Revision = i64::MAX as Revision;

/// No version of the server accepts a larger event; most accept far less and report it. A larger one would break the
/// connection instead, which looks like a transient error.
const LARGEST_EVENT: usize = 16 << 20;

/// An operation's failure, before it is mapped to an error of the port.
enum Failure {
    Client(Error),
    Store(StoreError),
}

impl Failure {
    fn into_store_error(self, operation: Operation<'_>) -> StoreError {
        match self {
            Self::Client(error) => operation.failed(error),
            Self::Store(error) => error,
        }
    }
}

impl Inner {
    fn operation<'a>(&'a self, name: &'static str, subject: &'a str) -> Operation<'a> {
        Operation { name, subject, url: &self.shown_url }
    }

    /// Runs a step with the client, within the operation time-out.
    async fn run<T, F: Future<Output = Result<T, Error>>>(
        &self,
        operation: Operation<'_>,
        step: impl FnOnce(Client) -> F,
    ) -> Result<T, Failure> {
        let time_out = self.options.operation_timeout();
        let connected = timeout(time_out, self.connection.client(operation)).await;
        let borrowed = connected.unwrap_or_else(|_| Err(operation.timed_out())).map_err(Failure::Store)?;
        let begun = Instant::now();
        let outcome = timeout(time_out, step(borrowed.client.clone())).await;
        self.connection.took(begun.elapsed());
        match outcome {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                self.connection.failed(&borrowed, &error).await;
                Err(Failure::Client(error))
            }
            Err(_) => Err(Failure::Store(operation.timed_out())),
        }
    }

    async fn read(
        &self,
        stream: &StreamName,
        options: ReadStreamOptions,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let operation = self.operation("read", stream.as_str());
        let options = options.max_count(limit);
        let opened = self
            .run(operation, |client| async move { client.read_stream(stream.as_str(), &options).await })
            .await;
        let outcome = match opened {
            Ok(read) => self.collect(operation, read).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(events) => Ok(events),
            Err(Failure::Client(Error::ResourceNotFound)) => Ok(Vec::new()),
            Err(failure) => Err(failure.into_store_error(operation)),
        }
    }

    async fn collect(
        &self,
        operation: Operation<'_>,
        mut read: ReadStream,
    ) -> Result<Vec<RecordedEvent>, Failure> {
        let mut events = Vec::new();
        loop {
            let next = timeout(self.options.operation_timeout(), read.next()).await;
            match next.map_err(|_| Failure::Store(operation.timed_out()))? {
                Ok(Some(resolved)) => events.extend(event::from_client(resolved)),
                Ok(None) => return Ok(events),
                Err(error) => return Err(Failure::Client(error)),
            }
        }
    }

    /// Position of the last event in `$all`, through the connection of the operations.
    pub(crate) async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        let operation = self.operation("read", "$all");
        let options = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
        let outcome = match self.run(operation, |client| async move { client.read_all(&options).await }).await
        {
            Ok(read) => self.collect(operation, read).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(events) => Ok(events.first().map(|event| event.position)),
            Err(failure) => Err(failure.into_store_error(operation)),
        }
    }

    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        let operation = self.operation("append", stream.as_str());
        let mut mapped = Vec::with_capacity(events.len());
        for (n, new) in events.iter().enumerate() {
            if new.data.len() + new.metadata.len() > LARGEST_EVENT {
                let problem = format!(
                    "event {n} ({}) has more than 16 MiB, the largest event of any server version",
                    new.event_type
                );
                return Err(operation.error(ErrorKind::Park, problem).into());
            }
            mapped.push(event::to_client(new).map_err(|source| {
                StoreError {
                    source: Some(Box::new(source)),
                    ..operation
                        .error(ErrorKind::Park, format!("data of event {n} ({}) is not JSON", new.event_type))
                }
            })?);
        }
        let options = AppendToStreamOptions::default()
            .expected_revision(match expected {
                ExpectedRevision::Any => eventstore::ExpectedRevision::Any,
                ExpectedRevision::NoStream => eventstore::ExpectedRevision::NoStream,
                ExpectedRevision::Exact(revision) => eventstore::ExpectedRevision::Exact(revision),
            })
            .deadline(self.options.operation_timeout());
        let outcome = self
            .run(operation, |client| async move {
                client.append_to_stream(stream.as_str(), &options, mapped).await
            })
            .await;
        let wrong_revision =
            |actual| AppendError::WrongExpectedRevision { stream: stream.clone(), expected, actual };
        match outcome {
            Ok(written) => {
                let position = event::position(written.position);
                Ok(Appended { revision: written.next_expected_version, position })
            }
            Err(Failure::Client(Error::WrongExpectedVersion { current, .. })) => {
                Err(wrong_revision(match current {
                    CurrentRevision::Current(revision) => Some(revision),
                    CurrentRevision::NoStream => None,
                }))
            }
            Err(failure) => Err(failure.into_store_error(operation).into()),
        }
    }
}

#[async_trait]
impl EventStore for EventStoreDb {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        self.inner.append(stream, expected, events).await
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
        self.inner.read(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let from = if from <= LAST_REVISION { StreamPosition::Position(from) } else { StreamPosition::End };
        self.inner.read(stream, ReadStreamOptions::default().position(from).backwards(), limit).await
    }

    /// From the first poll on, the subscription runs on a task of its own. It reads ahead as configured and ends
    /// when the stream is dropped.
    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        subscription::stream(Arc::clone(&self.inner), after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.inner.last_position().await
    }
}
