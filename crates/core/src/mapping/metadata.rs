//! Where schema version, time, ids and trace context of an event are.

use serde::{Deserialize, Serialize};

use crate::mapping::pointer::EventPointer;
use crate::mapping::time::TimePointer;
use crate::mapping::trace_context::TracePointer;

/// Where an event's schema version, time, ids and trace context are found. Each key is a list of
/// [pointers](EventPointer); the first one whose value is present and not null wins. After the listed pointers
/// come the built-in ones, which are where Aqueduct's own services write, unless `built_in` is false.
///
/// An event in which nothing is found is read all the same: as its type's latest version, with the time at
/// which the store recorded it, without ids and trace context.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataMapping {
    /// Version of the schema of the data: a whole number, or a text of digits. Built in: `metadata:/schemaVersion`.
    pub schema_version: Vec<EventPointer>,
    /// When the event happened: ISO 8601 with a zone, or a number with its unit. Built in:
    /// `metadata:/timestamp`.
    pub time: Vec<TimePointer>,
    /// Shared by everything that follows from one request: a text or a number. Built in:
    /// `metadata:/$correlationId`.
    pub correlation_id: Vec<EventPointer>,
    /// What the event follows from: a text or a number. Built in: `metadata:/$causationId`.
    pub causation_id: Vec<EventPointer>,
    /// Trace context of the span that appended the event. W3C texts are tried before pairs. Built in:
    /// `metadata:/traceparent`, then the pair `metadata:/$traceId`, `metadata:/$spanId`.
    pub trace_context: Vec<TracePointer>,
    /// Whether the built-in pointers are tried after the listed ones. Without them, too, an event that a
    /// repository appended (it has a `commandId`) keeps its `schemaVersion`.
    pub built_in: bool,
}

impl Default for MetadataMapping {
    fn default() -> Self {
        Self {
            schema_version: Vec::new(),
            time: Vec::new(),
            correlation_id: Vec::new(),
            causation_id: Vec::new(),
            trace_context: Vec::new(),
            built_in: true,
        }
    }
}

impl MetadataMapping {
    /// These pointers, and those of `general` after them. The built-in ones are tried where both mappings want them.
    #[must_use]
    pub fn or(self, general: &Self) -> Self {
        fn then<T: Clone>(mut own: Vec<T>, general: &[T]) -> Vec<T> {
            own.extend_from_slice(general);
            own
        }
        Self {
            schema_version: then(self.schema_version, &general.schema_version),
            time: then(self.time, &general.time),
            correlation_id: then(self.correlation_id, &general.correlation_id),
            causation_id: then(self.causation_id, &general.causation_id),
            trace_context: then(self.trace_context, &general.trace_context),
            built_in: self.built_in && general.built_in,
        }
    }

    /// The pointers to the schema version in the order in which they are tried, built-in ones included: what
    /// decides how an event's data is read.
    pub fn schema_version_pointers(&self) -> Vec<EventPointer> {
        self.ids(&self.schema_version, "schemaVersion")
    }

    pub(crate) fn correlation_id_pointers(&self) -> Vec<EventPointer> {
        self.ids(&self.correlation_id, "$correlationId")
    }

    pub(crate) fn causation_id_pointers(&self) -> Vec<EventPointer> {
        self.ids(&self.causation_id, "$causationId")
    }

    fn ids(&self, listed: &[EventPointer], built_in: &str) -> Vec<EventPointer> {
        let built_in = self.built_in.then(|| EventPointer::metadata(built_in));
        listed.iter().cloned().chain(built_in).collect()
    }

    pub(crate) fn time_pointers(&self) -> Vec<TimePointer> {
        let built_in = self.built_in.then(|| EventPointer::metadata("timestamp").into());
        self.time.iter().cloned().chain(built_in).collect()
    }

    pub(crate) fn trace_pointers(&self) -> Vec<TracePointer> {
        let built_in = [
            TracePointer::Traceparent(EventPointer::metadata("traceparent")),
            TracePointer::Pair {
                trace_id: EventPointer::metadata("$traceId"),
                span_id: EventPointer::metadata("$spanId"),
            },
        ];
        self.trace_context.iter().cloned().chain(built_in.into_iter().filter(|_| self.built_in)).collect()
    }
}
