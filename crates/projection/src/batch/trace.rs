//! Links the span of a batch to the spans that appended its events.

use aqueduct_core::{SpanLinks, TraceParent};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::record::envelope::Envelope;

/// Links the batch's span to the spans that appended its events.
pub(crate) fn link<'a>(span: &tracing::Span, envelopes: impl Iterator<Item = &'a Envelope>) {
    if span.is_disabled() {
        return;
    }
    let mut links = SpanLinks::default();
    for traceparent in envelopes.filter_map(|envelope| envelope.traceparent.as_deref()) {
        if let Some(parent) = links.add(traceparent) {
            span.add_link(context(parent));
        }
    }
}

/// A span for the reaction to one event, which continues the event's trace.
pub(crate) fn continued(projection: &'static str, envelope: &Envelope) -> tracing::Span {
    let span = tracing::info_span!("react", projection, id = envelope.id);
    if let Some(parent) = envelope.traceparent.as_deref().and_then(TraceParent::parse) {
        // Fails only if no trace is recorded.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context(parent)));
    }
    span
}

fn context(TraceParent { trace_id, span_id, is_sampled }: TraceParent) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
    let flags = TraceFlags::default().with_sampled(is_sampled);
    SpanContext::new(trace_id, span_id, flags, true, TraceState::default())
}
