//! Read models that are sums over many streams.

use aqueduct_core::DomainEvent;
use serde::Serialize;

use crate::Envelope;

/// A read model in which many streams meet: each event adds to some rows, `x = x + delta`.
///
/// The deltas of a batch are added up by key and written with one statement, in key order and in one
/// transaction with the inbox and the offsets. Adding commutes, so any number of instances may work on the
/// same rows without losing an update. What can't be said as a sum belongs into a [`View`](crate::View).
pub trait Deltas: Send + Sync + 'static {
    /// Name of the projection, see [`View::NAME`](crate::View::NAME).
    const NAME: &'static str;
    /// Topics it reads, at least one.
    const TOPICS: &'static [&'static str];
    /// Table it keeps, `schema.table` in lower case; made by the application's migrations.
    const TABLE: &'static str;
    /// Columns of the table's primary key (or of another unique index).
    const KEY: &'static [&'static str];
    /// Columns that are added to, numbers all. A row is made at its first delta; a sum that the delta leaves
    /// out counts as zero.
    const SUMS: &'static [&'static str];
    /// Event types on the topics that it knows and passes over.
    const IGNORES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;
    /// What is added: serialises to a JSON object with the columns of [`KEY`](Self::KEY) and
    /// [`SUMS`](Self::SUMS). Decimals as strings are exact.
    type Row: Serialize + Send + Sync;

    /// What an event adds, pure like [`View::fold`](crate::View::fold); nothing where it adds nothing.
    fn deltas(event: &Self::Event, envelope: &Envelope) -> Vec<Self::Row>;
}
