//! The trace of a batch, linked to those of its events.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// OpenTelemetry's default limit of links per span.
const MAX_LINKS: usize = 128;

/// The span of a batch: from its first event to the end of its transaction. It has many causes and therefore
/// no parent, but links to the spans that appended its events, at most [`MAX_LINKS`].
#[derive(Debug)]
pub(crate) struct BatchSpan {
    span: Span,
    links: Links,
}

/// The links of a batch so far.
#[derive(Debug, Default)]
struct Links {
    last: Option<SpanContext>,
    count: usize,
}

impl Links {
    /// Counts a link, unless the last one is the same or there are [`MAX_LINKS`] already.
    fn admit(&mut self, context: &SpanContext) -> bool {
        // The events of one command follow each other.
        if self.count == MAX_LINKS || self.last.as_ref() == Some(context) {
            return false;
        }
        self.last = Some(context.clone());
        self.count += 1;
        true
    }
}

impl BatchSpan {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        let records = tracing::field::Empty;
        let span = tracing::info_span!(parent: None, "relay batch", route, lane, records);
        Self { span, links: Links::default() }
    }

    /// Links the batch to the span that appended an event.
    pub(crate) fn link(&mut self, traceparent: &str) {
        if self.span.is_disabled() {
            return;
        }
        let Some(context) = parse(traceparent) else { return };
        if self.links.admit(&context) {
            self.span.add_link(context);
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
    fn a_batch_has_one_link_per_command_and_not_too_many() {
        let context = |n: u64| parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{n:016x}-01")).unwrap();
        let mut links = Links::default();
        assert!(links.admit(&context(1)) && !links.admit(&context(1)) && links.admit(&context(2)));
        let admitted = (3..1_000).filter(|n| links.admit(&context(*n))).count();
        assert_eq!(admitted, MAX_LINKS - 2);
    }

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
