//! The streams of a batch whose records follow each other.

use std::collections::hash_map::Entry as Slot;

use foldhash::{HashMap, HashMapExt as _};

use crate::inbox::entry::{Entry, previous_number, revision_number};

/// The inbox rows of a batch in which every record is readable and next of its stream, as far as the records tell: one row
/// per stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain<'e> {
    /// Streams of which a record was applied before.
    pub(crate) known: Vec<Link<'e>>,
    /// Streams that begin in this batch.
    pub(crate) new: Vec<Link<'e>>,
}

/// What a batch does to the inbox row of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link<'e> {
    pub(crate) inbox: i32,
    pub(crate) stream: &'e str,
    /// The revision that the inbox must have; -1 for a new stream.
    pub(crate) expected: i64,
    /// The revision that it has afterwards.
    pub(crate) revision: i64,
    /// The id of the event with that revision, if it is known.
    pub(crate) event_id: Option<&'e str>,
}

impl<'e> Chain<'e> {
    /// `None` if a record is not readable, does not name its predecessor, or does not follow the record of its stream that
    /// precedes it in the batch.
    pub(crate) fn of<E>(entries: &'e [Entry<E>]) -> Option<Self> {
        let mut places: HashMap<(i32, &str), usize> = HashMap::with_capacity(entries.len());
        let mut links: Vec<Link<'_>> = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.fault().is_some() {
                return None;
            }
            let revision = revision_number(entry.revision()?);
            let previous = previous_number(entry.previous())?;
            if revision <= previous {
                return None;
            }
            match places.entry((entry.inbox, entry.stream())) {
                Slot::Vacant(place) => {
                    place.insert(links.len());
                    let (inbox, stream) = (entry.inbox, entry.stream());
                    let event_id = entry.event_id();
                    links.push(Link { inbox, stream, expected: previous, revision, event_id });
                }
                Slot::Occupied(place) => {
                    let link = &mut links[*place.get()];
                    if link.revision != previous {
                        return None;
                    }
                    (link.revision, link.event_id) = (revision, entry.event_id());
                }
            }
        }
        let (new, known) = links.into_iter().partition(|link| link.expected < 0);
        Some(Self { known, new })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::inbox::entry::{Content, Fault};
    use crate::inbox::reason_code::ReasonCode;
    use crate::record::Record;
    use crate::record::headers::Headers;

    fn entry(stream: &str, revision: u64, previous: Option<&str>) -> Entry<()> {
        let mut headers = Headers::default();
        let revision = revision.to_string();
        for (name, value) in [
            ("ce_id", "1"),
            ("ce_type", "bank.Opened"),
            ("ce_source", "store"),
            ("ce_subject", stream),
            ("ce_time", "2026-11-23T03:04:05Z"),
            ("ce_revision", &revision),
            ("ce_eventid", &format!("{stream}{revision}")),
            ("ce_schemaversion", "1"),
        ] {
            headers.push(name, Some(value.as_bytes()));
        }
        if let Some(previous) = previous {
            headers.push("ce_previousrevision", Some(previous.as_bytes()));
        }
        let envelope = headers.envelope(Some(stream.as_bytes())).unwrap();
        let (topic, key) = (Arc::from("bank"), Some(stream.as_bytes().to_vec().into()));
        let record = Record { topic, partition: 0, offset: 0, epoch: 1, key, payload: None, headers };
        Entry::new(record, 7, Some(envelope), Content::Ignored)
    }

    #[test]
    fn a_stream_has_one_link_from_what_it_expects_to_its_last_revision() {
        let entries = [
            entry("a", 0, Some("-1")),
            entry("b", 7, Some("5")),
            entry("a", 1, Some("0")),
            entry("b", 8, Some("7")),
        ];
        let link = |stream, expected, revision, event_id| Link {
            inbox: 7,
            stream,
            expected,
            revision,
            event_id: Some(event_id),
        };
        let chain = Chain { known: vec![link("b", 5, 8, "b8")], new: vec![link("a", -1, 1, "a1")] };
        assert_eq!(Chain::of(&entries), Some(chain));
    }

    #[test]
    fn whatever_must_be_judged_is_no_chain() {
        let first = || entry("a", 0, Some("-1"));
        let mut invalid = entry("b", 0, Some("-1"));
        invalid.content = Content::Invalid(Fault { code: ReasonCode::Payload, reason: String::new() });
        for other in [
            first(),
            entry("a", 2, Some("1")),
            entry("a", 1, None),
            entry("a", 0, Some("0")),
            entry("a", 1, Some("-1")),
            invalid,
        ] {
            let revision = other.revision();
            assert_eq!(Chain::of(&[first(), other]), None, "{revision:?}");
        }
    }
}
