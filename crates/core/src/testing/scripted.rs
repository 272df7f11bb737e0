//! An event store whose calls a test observes and makes fail.

use std::fmt;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::envelope::{NewEvent, RecordedEvent};
use crate::error::ErrorKind;
use crate::ids::{Revision, StreamName};
use crate::position::Position;
use crate::store::{AllItem, AppendError, Appended, EventStore, ExpectedRevision, StoreError};

/// A call to an event store, as a script sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call<'a> {
    /// [`EventStore::append`] to this stream.
    Append(&'a StreamName),
    /// [`EventStore::read_stream`] of this stream.
    ReadStream(&'a StreamName),
    /// [`EventStore::read_stream_back`] of this stream.
    ReadStreamBack(&'a StreamName),
    /// [`EventStore::subscribe_all`].
    SubscribeAll,
    /// [`EventStore::last_position`].
    LastPosition,
}

impl Call<'_> {
    /// The error of this call when the server cannot be reached: [`ErrorKind::Retry`].
    pub fn fails(self, problem: &str) -> StoreError {
        let (operation, subject) = match self {
            Self::Append(stream) => ("append", stream.as_str()),
            Self::ReadStream(stream) | Self::ReadStreamBack(stream) => ("read", stream.as_str()),
            Self::SubscribeAll => ("subscribe", "$all"),
            Self::LastPosition => ("read", "$all"),
        };
        let (subject, problem) = (subject.to_owned(), problem.to_owned());
        StoreError { operation, subject, problem, kind: ErrorKind::Retry, source: None }
    }
}

/// Observes calls and may make them fail. Called concurrently.
type Script = Box<dyn Fn(Call<'_>) -> Result<(), StoreError> + Send + Sync>;

/// An [`EventStore`] that passes each call to another one. A script before and a script after the call observe it
/// and may make it fail: a connection can be lost on either side of a call.
///
/// ```
/// use aqueduct_core::testing::{Call, ScriptedStore};
/// use aqueduct_core::{EventStore as _, MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = ScriptedStore::new(MemoryStore::default()).before(|call| match call {
///     Call::ReadStream(stream) if stream.as_str() == "door-1" => Err(call.fails("nobody listens")),
///     _ => Ok(()),
/// });
/// assert!(store.read_stream(&"door-1".into(), 0, 1).await.is_err());
/// assert!(store.read_stream(&"door-2".into(), 0, 1).await.is_ok());
/// # });
/// ```
pub struct ScriptedStore<S> {
    store: S,
    before: Script,
    after: Script,
}

impl<S> fmt::Debug for ScriptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedStore").finish_non_exhaustive()
    }
}

impl<S: EventStore> ScriptedStore<S> {
    /// A store without scripts.
    pub fn new(store: S) -> Self {
        Self { store, before: Box::new(|_| Ok(())), after: Box::new(|_| Ok(())) }
    }

    /// A call for which `script` gives an error never reaches the store.
    pub fn before(
        mut self,
        script: impl Fn(Call<'_>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        self.before = Box::new(script);
        self
    }

    /// A call that succeeded, but for which `script` gives an error, was executed and yet fails: its response is
    /// lost. A subscription counts as executed once it is made.
    pub fn after(
        mut self,
        script: impl Fn(Call<'_>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        self.after = Box::new(script);
        self
    }
}

#[async_trait]
impl<S: EventStore> EventStore for ScriptedStore<S> {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        (self.before)(Call::Append(stream))?;
        let appended = self.store.append(stream, expected, events).await?;
        (self.after)(Call::Append(stream))?;
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        (self.before)(Call::ReadStream(stream))?;
        let events = self.store.read_stream(stream, from, limit).await?;
        (self.after)(Call::ReadStream(stream))?;
        Ok(events)
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        (self.before)(Call::ReadStreamBack(stream))?;
        let events = self.store.read_stream_back(stream, from, limit).await?;
        (self.after)(Call::ReadStreamBack(stream))?;
        Ok(events)
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        let subscribed = (self.before)(Call::SubscribeAll).and_then(|()| {
            let items = self.store.subscribe_all(after);
            (self.after)(Call::SubscribeAll).map(|()| items)
        });
        subscribed.unwrap_or_else(|error| stream::once(async { Err(error) }).boxed())
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        (self.before)(Call::LastPosition)?;
        let position = self.store.last_position().await?;
        (self.after)(Call::LastPosition)?;
        Ok(position)
    }
}
