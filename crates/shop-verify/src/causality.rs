//! Effects and their causes.

use crate::log::Entry;
use aqueduct_verify::{Findings, Kind, Stage};

/// The effect comes after its cause and belongs to the same request.
pub(crate) fn judge(cause: &Entry, effect: &Entry, findings: &mut Findings) {
    let place = format!("{} {}", effect.event.reference(), effect.event.event_type);
    if cause.event.position > effect.event.position {
        let text = format_args!("comes before {}, from which it follows", cause.event.reference());
        findings.add(Stage::Store, Kind::OutOfOrder, &place, text);
    }
    let request = |entry: &Entry| entry.metadata.as_ref().map(|metadata| metadata.correlation_id);
    if request(cause) != request(effect) {
        let text = format_args!("has another correlation id than {}", cause.event.reference());
        findings.add(Stage::Store, Kind::Mismatch, &place, text);
    }
}
