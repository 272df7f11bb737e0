//! Reactors: events in, commands out.

use std::sync::Arc;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::model::error::{ApplyError, ReactError};
use crate::model::handler::{Handler, Treatment};
use crate::model::table_change::{NoChange, TableChange};
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;

/// Reacts to events with effects outside of Postgres, most often commands to other aggregates.
///
/// *Delivery:* at least once. The inbox drops what was handled before, but if the process dies between an effect
/// and the commit of the inbox, the event is delivered again. Derive each command's id from the event
/// ([`CommandId::derived`](aqueduct_core::CommandId::derived) with [`Envelope::id`]): the store then contains
/// each effect once. Other effects need an idempotency key of their own.
/// *Order:* the events of one stream sequentially, in order; different streams concurrently.
/// *Errors:* see [`ReactError`].
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Name of the projection, see [`View::NAME`](crate::View::NAME).
    const NAME: &'static str;
    /// Topics to read, at least one.
    const TOPICS: &'static [&'static str];
    /// Event types on the topics that are ignored.
    const IGNORED_TYPES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;

    /// Handles one event. `Ok` means that all its effects are durable: the event is not delivered again.
    async fn react(&self, event: &Self::Event, envelope: &Envelope) -> Result<(), ReactError>;
}

/// A reactor: all its effects happen before the transaction.
pub(crate) struct ReactorHandler<R>(pub(crate) Arc<R>);

#[async_trait]
impl<R: Reactor> Handler for ReactorHandler<R> {
    const REACTS: bool = true;
    type Event = R::Event;

    fn name(&self) -> &'static str {
        R::NAME
    }

    fn treats(&self, event_type: &str) -> Treatment {
        Treatment::of::<R::Event>(event_type, R::IGNORED_TYPES)
    }

    fn read(&self, _: &Record, event_type: &str, payload: &Payload<'_>) -> Result<R::Event, DecodeError> {
        payload.event(event_type)
    }

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

    async fn change(
        &self,
        _connection: &mut PgConnection,
        _events: &[(&R::Event, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        Ok(TableChange::none())
    }
}
