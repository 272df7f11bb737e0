//! The operations on the store, and what they share with subscriptions.

use std::future::Future;
use std::sync::Arc;

use aqueduct_core::{
    AppendError, Appended, ErrorKind, ExpectedRevision, NewEvent, Position, RecordedEvent, StoreError,
    StreamName,
};
use eventstore::{
    AppendToStreamOptions, Client, CurrentRevision, Error, ReadAllOptions, ReadStream, ReadStreamOptions,
    StreamPosition,
};
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::error::Operation;
use crate::event;
use crate::options::Options;
use crate::pool::ConnectionPool;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) shown_url: Arc<str>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) subscriptions: ConnectionPool,
}

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

impl Shared {
    fn operation<'a>(&'a self, name: &'static str, subject: &'a str) -> Operation<'a> {
        Operation { name, subject, url: &self.shown_url }
    }

    /// Runs a step with the client, within the operation timeout.
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

    pub(crate) async fn read(
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

    /// Connects for operations and for one subscription.
    pub(crate) async fn connect_ahead(&self) {
        let operation = self.operation("connect", "$all");
        let subscription = self.subscriptions.lease();
        let connected = tokio::join!(self.connection.client(operation), subscription.client(operation));
        for error in [connected.0.err(), connected.1.err()].into_iter().flatten() {
            tracing::debug!(%error, "connecting ahead failed");
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

    pub(crate) async fn append(
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
