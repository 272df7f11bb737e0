//! The trace context in which an event was appended.

use serde::Deserialize;

use super::pointer::{Documents, Pointer};
use crate::json::Json;

/// Where a trace context is: one text as W3C writes it, or a pair of ids.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TracePointer {
    /// `00-<trace id>-<span id>-<flags>`
    Traceparent(Pointer),
    /// The ids alone; the trace counts as sampled.
    Pair {
        /// 32 hexadecimal digits.
        trace_id: Pointer,
        /// 16 hexadecimal digits.
        span_id: Pointer,
    },
}

/// The first text that is there, else the first whole pair; none where it has a wrong form.
pub(crate) fn trace_context(pointers: &[TracePointer], documents: Documents<'_>) -> Option<String> {
    let text = pointers.iter().find_map(|pointer| match pointer {
        TracePointer::Traceparent(pointer) => documents.find(pointer),
        TracePointer::Pair { .. } => None,
    });
    if let Some(text) = text {
        return text.as_text().filter(|text| is_traceparent(text)).map(ToOwned::to_owned);
    }
    let (trace_id, span_id) = pointers.iter().find_map(|pointer| match pointer {
        TracePointer::Pair { trace_id, span_id } => {
            Some((documents.find(trace_id)?, documents.find(span_id)?))
        }
        TracePointer::Traceparent(_) => None,
    })?;
    let id = |json: &Json, length| {
        let id = json.as_text()?.to_ascii_lowercase();
        is_id(&id, length).then_some(id)
    };
    Some(format!("00-{}-{}-01", id(trace_id, 32)?, id(span_id, 16)?))
}

/// Only version 00 is known to have nothing behind its flags.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace_id, span_id, flags, more @ ..] = parts.as_slice() else { return false };
    let is_version = is_hexadecimal(version, 2) && *version != "ff";
    let may_have_more = more.is_empty() || *version != "00";
    text.len() <= 1024
        && is_version
        && is_id(trace_id, 32)
        && is_id(span_id, 16)
        && is_hexadecimal(flags, 2)
        && may_have_more
}

fn is_id(text: &str, length: usize) -> bool {
    is_hexadecimal(text, length) && text.chars().any(|digit| digit != '0')
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit))
}
