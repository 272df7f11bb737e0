//! The trace of a batch, linked to those of its events.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The span of a batch: from its first event to the end of its transaction. It has many causes and therefore
/// no parent, but a link to the span that appended each of its events.
#[derive(Debug)]
pub(crate) struct BatchSpan {
    span: Span,
    linked: Option<SpanContext>,
}

impl BatchSpan {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        let records = tracing::field::Empty;
        let span = tracing::info_span!(parent: None, "relay batch", route, lane, records);
        Self { span, linked: None }
    }

    /// Links the batch to the span that appended an event.
    pub(crate) fn link(&mut self, traceparent: &str) {
        if self.span.is_disabled() {
            return;
        }
        let Some(context) = parse(traceparent) else { return };
        // The events of one command follow each other.
        if self.linked.as_ref() != Some(&context) {
            self.span.add_link(context.clone());
            self.linked = Some(context);
        }
    }

    pub(crate) fn enter(&self, records: u64) -> tracing::span::Entered<'_> {
        self.span.record("records", records);
        self.span.enter()
    }
}

/// The context in a W3C `traceparent`, `00-<trace id>-<span id>-<flags>`; `None` for anything else.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let of_known_length = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    if !of_known_length || version == "ff" {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_ignored() {
        let context = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled() && context.is_remote());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
