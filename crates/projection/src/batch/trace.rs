//! Links the span of a batch to the spans that appended its events.

use std::collections::HashSet;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::record::envelope::Envelope;

/// OpenTelemetry's default limit of links per span.
const MAX_LINKS: usize = 128;

/// Links the batch's span to the spans that appended its events.
pub(crate) fn link<'a>(span: &tracing::Span, envelopes: impl Iterator<Item = &'a Envelope>) {
    let traceparents: HashSet<&str> =
        envelopes.filter_map(|envelope| envelope.traceparent.as_deref()).take(MAX_LINKS).collect();
    for context in traceparents.into_iter().filter_map(parse) {
        span.add_link(context);
    }
}

/// A span for the reaction to one event, which continues the event's trace.
pub(crate) fn continued(projection: &'static str, envelope: &Envelope) -> tracing::Span {
    let span = tracing::info_span!("react", projection, id = envelope.id);
    if let Some(context) = envelope.traceparent.as_deref().and_then(parse) {
        // Fails only if no trace is recorded.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
    span
}

/// W3C trace context: `00-<32 hex>-<16 hex>-<2 hex>`. An event whose header cannot be read has no trace.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_traceparent_is_ignored() {
        let context = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled() && context.is_remote());
        for wrong in ["", "00-1-2-3", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
