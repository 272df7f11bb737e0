//! W3C Trace Context: the span that caused an event, and links to such spans.

use std::collections::HashSet;

/// The span that a W3C `traceparent` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Id of the trace; not zero.
    pub trace_id: [u8; 16],
    /// Id of the span; not zero.
    pub span_id: [u8; 8],
    /// Whether the trace is recorded.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads `00-<trace id>-<span id>-<flags>`. Returns `None` for anything else: a trace context that cannot be read
    /// must not stop an event.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let (version, rest) = part(traceparent, 2)?;
        let (trace_id, rest) = part(rest?, 32)?;
        let (span_id, rest) = part(rest?, 16)?;
        let (flags, rest) = part(rest?, 2)?;
        // A later version may add parts; version 00 has none.
        let is_version = version != 0xff && (rest.is_none() || version != 0);
        (is_version && trace_id != 0 && span_id != 0).then(|| Self {
            trace_id: trace_id.to_be_bytes(),
            span_id: (span_id as u64).to_be_bytes(),
            is_sampled: flags & 1 == 1,
        })
    }
}

/// The number at the beginning of the text, in so many hexadecimal digits of lower case, and what follows after a dash;
/// `None` at the end of the text.
fn part(text: &str, digits: usize) -> Option<(u128, Option<&str>)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let rest = if rest.is_empty() { None } else { Some(rest.strip_prefix('-')?) };
    let number = number.bytes().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })?;
    Some((number, rest))
}

/// The spans to which the span of a batch is linked: those that caused its events.
#[derive(Debug, Clone, Default)]
pub struct SpanLinks(HashSet<TraceParent>);

impl SpanLinks {
    /// OpenTelemetry's default limit of links per span.
    pub const MAX: usize = 128;

    /// Returns the span that the `traceparent` of an event names, if the batch must be linked to it: once per span, and
    /// to at most [`MAX`](Self::MAX) spans.
    pub fn add(&mut self, traceparent: &str) -> Option<TraceParent> {
        if self.0.len() == Self::MAX {
            return None;
        }
        TraceParent::parse(traceparent).filter(|parent| self.0.insert(*parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_ignored() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = TraceParent::parse(traceparent).unwrap();
        assert_eq!(u128::from_be_bytes(parent.trace_id), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(u64::from_be_bytes(parent.span_id), 0x00f0_67aa_0ba9_02b7);
        assert!(parent.is_sampled);
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true)] {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            assert_eq!(TraceParent::parse(&text), Some(TraceParent { is_sampled, ..parent }), "{flags}");
        }
        let of_later_version = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later";
        assert_eq!(TraceParent::parse(of_later_version), Some(parent));
        for bad in [
            "",
            "00-1-2-3",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_batch_is_linked_once_to_each_span_up_to_the_limit() {
        let mut links = SpanLinks::default();
        let traceparent = |span: usize| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span:016x}-01");
        assert!(links.add(&traceparent(1)).is_some());
        assert_eq!(links.add(&traceparent(1)), None, "linked before");
        assert_eq!(links.add("00-1-2-3"), None);
        assert_eq!((2..=200).filter(|span| links.add(&traceparent(*span)).is_some()).count(), 127);
    }
}
