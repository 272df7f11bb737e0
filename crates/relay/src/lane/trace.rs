//! The trace of a batch, linked to those of its events.

use aqueduct_core::{SpanLinks, TraceParent};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The span of a batch: from its first event to the end of its transaction. It has many causes and therefore
/// no parent, but links to the spans that appended its events.
#[derive(Debug)]
pub(crate) struct BatchSpan {
    span: Span,
    links: SpanLinks,
}

impl BatchSpan {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        let records = tracing::field::Empty;
        let span = tracing::info_span!(parent: None, "relay batch", route, lane, records);
        Self { span, links: SpanLinks::default() }
    }

    /// Links the batch to the span that appended an event.
    pub(crate) fn link(&mut self, traceparent: &str) {
        if self.span.is_disabled() {
            return;
        }
        if let Some(parent) = self.links.add(traceparent) {
            self.span.add_link(context(parent));
        }
    }

    pub(crate) fn enter(&self, records: u64) -> tracing::span::Entered<'_> {
        self.span.record("records", records);
        self.span.enter()
    }
}

fn context(TraceParent { trace_id, span_id, is_sampled }: TraceParent) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
    let flags = TraceFlags::default().with_sampled(is_sampled);
    SpanContext::new(trace_id, span_id, flags, true, TraceState::default())
}
