//! Read models that are a fold of one stream's events.

use aqueduct_core::DomainEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Envelope, Key};

/// A read model whose every row is determined by the events of one stream: `(row, event) → row`.
///
/// Both functions are pure: no I/O, no clock, no randomness. The runner reads the rows of a batch at once,
/// folds in memory and writes them back at once, in one transaction with the inbox and the offsets; so each
/// event counts once, and the events of a stream in their order. Events of different streams come in any
/// order: where several streams meet in one row, use [`Deltas`](crate::Deltas), or updates are lost between
/// instances.
///
/// A panic, or a row that the table refuses (a constraint, a number out of range), parks the event with its
/// followers of the same stream; the others go on.
pub trait View: Send + Sync + 'static {
    /// Name of the projection: the inbox, the consumer group and the metrics carry it. What was once used is
    /// not to be changed, or the projection starts over.
    const NAME: &'static str;
    /// Topics it reads, at least one.
    const TOPICS: &'static [&'static str];
    /// Table it keeps, `schema.table` in lower case; made by the application's migrations.
    const TABLE: &'static str;
    /// Columns of the table's primary key (or of another unique index).
    const KEY: &'static [&'static str];
    /// Event types on the topics that it knows and passes over. A type that is neither here nor in
    /// [`Event`](Self::Event) is parked.
    const IGNORES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;
    /// A row: serialises to a JSON object whose fields are columns of the table. Columns that it leaves out
    /// become NULL; the key's columns may be left out, they are set from [`key`](Self::key). `numeric`
    /// columns are read back as strings (exact decimals), dates and times in ISO form.
    type Row: Serialize + DeserializeOwned + Send + Sync;

    /// The row that an event concerns: values of the columns in [`KEY`](Self::KEY), in that order.
    fn key(event: &Self::Event, envelope: &Envelope) -> Key;

    /// The row after the event; `None` where there is no row (any more).
    fn fold(row: Option<Self::Row>, event: &Self::Event, envelope: &Envelope) -> Option<Self::Row>;
}
