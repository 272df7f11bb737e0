//! What the generic comparison asks about a system that it checks.

use std::collections::BTreeMap;

use aqueduct_core::RecordedEvent;
use serde_json::Value;

use crate::finding::Findings;
use crate::table::Table;

/// Knowledge about one system, plugged into the generic comparison of store, topics, inbox and read models.
pub trait System {
    /// Avro full name of an event type, `shop.orders.OrderCreated`; `None` for a type that is not the system's.
    fn full_name(&self, event_type: &str) -> Option<&str>;

    /// The event as consumers must see it: version and plain JSON after the changes that version needs. `Err`
    /// says why there is none.
    fn latest(&self, event_type: &str, version: u32, data: Value) -> Result<(u32, Value), String>;

    /// Takes the next event of the selected streams; they come in the order of `$all`.
    fn see(&mut self, event: &RecordedEvent);

    /// Judges the store by the system's own rules, when all events were seen.
    fn judge_store(&mut self, findings: &mut Findings);

    /// What the read models must hold, each with the query that reads it as text.
    fn tables(&self) -> Vec<Table>;

    /// Figures of its own for the report: counts by name.
    fn figures(&self) -> BTreeMap<String, Value>;
}
