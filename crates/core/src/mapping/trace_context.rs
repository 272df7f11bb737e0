//! Trace contexts as others write them.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::mapping::pointer::EventPointer;
use crate::mapping::value::Scalar;
use crate::trace_parent::TraceParent;

/// Where a trace context is in an event: a W3C text, written as its pointer, `metadata:/traceparent`, or a pair
/// of ids in hexadecimal, `{ trace_id = "metadata:/$traceId", span_id = "metadata:/$spanId" }`. A pair says
/// nothing about sampling and counts as sampled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum TracePointer {
    /// W3C Trace Context, `00-<trace id>-<span id>-<flags>`.
    Traceparent(EventPointer),
    /// The pair that EventStoreDB's clients write.
    Pair {
        /// 32 hexadecimal digits.
        trace_id: EventPointer,
        /// 16 hexadecimal digits.
        span_id: EventPointer,
    },
}

impl<'de> Deserialize<'de> for TracePointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Pair {
            trace_id: EventPointer,
            span_id: EventPointer,
        }

        struct TextOrPair;

        impl<'de> Visitor<'de> for TextOrPair {
            type Value = TracePointer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a pointer such as \"metadata:/traceparent\", or a table with trace_id and span_id",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TracePointer, E> {
                text.parse().map(TracePointer::Traceparent).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TracePointer, A::Error> {
                let Pair { trace_id, span_id } = Pair::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TracePointer::Pair { trace_id, span_id })
            }
        }

        deserializer.deserialize_any(TextOrPair)
    }
}

/// A W3C `traceparent` from the text of a JSON value, or nothing where it has a wrong form.
pub(crate) fn traceparent(json: &str) -> Option<Cow<'_, str>> {
    let Ok(Scalar::Text(text)) = Scalar::parse(json) else { return None };
    TraceParent::parse(&text).map(|_| text)
}

/// A `traceparent` made of a pair, or nothing where one of the two has a wrong form.
pub(crate) fn from_pair(trace_id: &str, span_id: &str) -> Option<String> {
    let text = |json| {
        let Ok(Scalar::Text(text)) = Scalar::parse(json) else { return None };
        Some(text.to_ascii_lowercase())
    };
    let traceparent = format!("00-{}-{}-01", text(trace_id)?, text(span_id)?);
    TraceParent::parse(&traceparent).map(|_| traceparent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\"4bf92f3577b34da6a3ce929d0e0e4736\"";
    const SPAN: &str = "\"00f067aa0ba902b7\"";

    #[test]
    fn a_traceparent_is_taken_as_it_is() {
        let good = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later";
        assert_eq!(traceparent(&format!("\"{good}\"")).as_deref(), Some(good));
        let bad = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        assert_eq!(traceparent(&format!("\"{bad}\"")), None);
        assert_eq!(traceparent("7"), None);
    }

    #[test]
    fn a_pair_counts_as_sampled() {
        let expected = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(from_pair(TRACE, SPAN).as_deref(), Some(expected));
        assert_eq!(from_pair(&TRACE.to_uppercase(), &SPAN.to_uppercase()).as_deref(), Some(expected));
        assert_eq!(from_pair(TRACE, TRACE), None);
        assert_eq!(from_pair(SPAN, SPAN), None);
        let both = "\"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7\"";
        assert_eq!(from_pair(both, "\"01\""), None);
        assert_eq!(from_pair(TRACE, "\"0000000000000000\""), None);
        assert_eq!(from_pair(TRACE, "7"), None);
    }

    #[test]
    fn is_configured_as_a_pointer_or_a_pair() {
        let parse = serde_json::from_str::<TracePointer>;
        assert!(matches!(parse(r#""metadata:/trace""#).unwrap(), TracePointer::Traceparent(_)));
        let pair = r#"{"trace_id":"metadata:/trace-id","span_id":"metadata:/span-id"}"#;
        assert!(matches!(parse(pair).unwrap(), TracePointer::Pair { .. }));
        assert!(parse(r#"{"trace_id":"metadata:/trace-id"}"#).unwrap_err().to_string().contains("span_id"));
    }
}
