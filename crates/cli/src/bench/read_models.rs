//! What a read model is to a comparison: as the product keeps it and as bare SQL would.

use std::sync::Arc;

use aqueduct_core::{Codec as _, DomainEvent, RecordedEvent};
use aqueduct_projection::{Decoder, Options, Projection};
use aqueduct_schema::SchemaSet;
use bytes::Bytes;

use super::decoding::WriterSchemas;
use crate::Failure;

/// A read model, and the statements of its baselines, which find their own tables through the search path.
pub(super) struct ReadModel {
    pub(super) name: &'static str,
    pub(super) topic: &'static str,
    /// The streams whose events it keeps.
    pub(super) category: &'static str,
    pub(super) projection: fn(Options, Arc<dyn Decoder>) -> Projection,
    /// Makes a baseline's table, with what the product's own has.
    pub(super) table: &'static str,
    /// Writes a batch's rows, which are bound as one array a column.
    pub(super) upsert: &'static str,
    /// Counts the rows in which the product's table and a baseline's differ.
    pub(super) differences: &'static str,
    /// Makes the rows of a history from its beginning.
    pub(super) fold: fn() -> Box<dyn Fold>,
}

/// Makes rows of batches, which come in order.
pub(super) trait Fold {
    /// Of events, before the measurement.
    fn events(&mut self, events: &[&RecordedEvent], schemas: &SchemaSet) -> Result<Vec<Column>, Failure>;

    /// Of records' values, as part of it. The revisions are those of the records.
    fn payloads(
        &mut self,
        payloads: &[Bytes],
        revisions: &[i64],
        schemas: &WriterSchemas,
    ) -> Result<Vec<Column>, Failure>;
}

/// Values of one column.
#[derive(Debug, PartialEq)]
pub(super) enum Column {
    Text(Vec<String>),
    Number(Vec<i64>),
}

/// An event in its latest version.
pub(super) fn latest<E: DomainEvent>(event: &RecordedEvent, schemas: &SchemaSet) -> Result<E, Failure> {
    let version = event.parse_metadata()?.schema_version;
    let json = schemas.upcast(&event.event_type, version, &event.data)?;
    let read = E::from_json(&event.event_type, &json);
    Ok(read.ok_or_else(|| format!("the history holds {}", event.event_type))??)
}
