//! Events in, commands out.

use std::sync::Arc;

use aqueduct_core::{DomainEvent, ErrorKind};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::Envelope;
use crate::handler::{ApplyError, Handler};

/// Reacts to events with effects outside of Postgres, commands to other aggregates above all.
///
/// *Delivery:* at least once. The inbox drops what was handled before, but between an effect and the commit
/// of the inbox the process may die, and then the event comes again. So derive each command's id from the
/// event ([`CommandId::derived`](aqueduct_core::CommandId::derived) with [`Envelope::id`]): the store then
/// shows each effect once. Other effects need a stable key of their own.
/// *Order:* the events of one stream one after the other, in order; different streams concurrently.
/// *Errors:* see [`ReactError`].
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Name of the projection, see [`View::NAME`](crate::View::NAME).
    const NAME: &'static str;
    /// Topics it reads, at least one.
    const TOPICS: &'static [&'static str];
    /// Event types on the topics that it knows and passes over.
    const IGNORES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;

    /// Handles one event. `Ok` means that all its effects are durable: it will not come again.
    async fn react(&self, event: &Self::Event, envelope: &Envelope) -> Result<(), ReactError>;
}

/// Why an event could not be handled, and what is to become of it.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ReactError {
    kind: ErrorKind,
    problem: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ReactError {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self { kind, problem: problem.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused_by(
        kind: ErrorKind,
        problem: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, problem: problem.into(), source: Some(source.into()) }
    }

    /// [`Retry`](ErrorKind::Retry): the event is tried again in place, with backoff, for as long as it takes;
    /// [`Park`](ErrorKind::Park): it is parked with its followers of the same stream;
    /// [`Stop`](ErrorKind::Stop): the projection stops with this error, and the event comes again after a
    /// restart.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A reactor: all it does is done before the transaction.
pub(crate) struct ReactorHandler<R>(pub(crate) Arc<R>);

#[async_trait]
impl<R: Reactor> Handler for ReactorHandler<R> {
    const NAME: &'static str = R::NAME;
    const IGNORES: &'static [&'static str] = R::IGNORES;
    const REACTS: bool = true;
    type Event = R::Event;

    async fn react(&self, event: &R::Event, envelope: &Envelope) -> Result<(), ReactError> {
        self.0.react(event, envelope).await
    }

    async fn apply(
        &self,
        _connection: &mut PgConnection,
        _events: &[(&R::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        Ok(())
    }
}
