//! The dedup tables of the projections judged by the store.

use std::collections::{BTreeMap, HashMap};

use aqueduct_core::StreamName;

use crate::finding::{Findings, Kind, Stage};
use crate::log::Log;
use crate::topics::Topic;

/// What Postgres says about the projections.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Last event applied of each stream.
    pub streams: Vec<InboxStream>,
    /// Where the projections go on.
    pub offsets: Vec<InboxOffset>,
    /// What was set aside.
    pub parked: Vec<ParkedEvent>,
}

/// A stream in the inbox of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxStream {
    /// Name of the projection.
    pub projection: String,
    /// The topic its records came from.
    pub topic: String,
    /// The stream.
    pub stream: String,
    /// Revision of the last event that was applied, -1 before the first.
    pub revision: i64,
}

/// How far a projection has taken a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxOffset {
    /// Name of the projection.
    pub projection: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// First offset not yet taken.
    pub next: Option<i64>,
}

/// An event that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Name of the projection.
    pub projection: String,
    /// Its stream.
    pub stream: String,
    /// Its revision, where it could be read.
    pub revision: Option<i64>,
    /// Why.
    pub reason: String,
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionEnd {
    /// Offset of its last record, -1 if it has none.
    pub(crate) last: i64,
    /// The offset that the next record gets. Markers of transactions take offsets too, so this is not
    /// `last + 1`.
    pub(crate) next: i64,
}

/// By topic and partition, where it ends.
pub(crate) type Ends = HashMap<(String, i32), PartitionEnd>;

/// Judges the inbox and returns how many events each projection has applied.
pub(crate) fn judge(
    log: &Log,
    topics: &[Topic],
    projections: &BTreeMap<String, Vec<String>>,
    ends: &Ends,
    inbox: &Inbox,
    findings: &mut Findings,
) -> BTreeMap<String, u64> {
    let mut rows: HashMap<(&str, &str, &str), i64> = HashMap::new();
    for row in &inbox.streams {
        let key = (row.projection.as_str(), row.topic.as_str(), row.stream.as_str());
        if rows.insert(key, row.revision).is_some() {
            let place = format_args!("{} {}", row.projection, row.stream);
            findings.add(Stage::Inbox, Kind::Duplicate, place, "stands there more than once");
        }
    }
    let mut applied = BTreeMap::new();
    for (projection, read) in projections {
        let mut count = 0;
        for topic in topics.iter().filter(|topic| read.contains(&topic.name)) {
            let ours = |stream: &&StreamName| topic.categories.iter().any(|it| it == stream.category());
            for stream in log.streams().filter(ours) {
                let place = format_args!("{projection} {stream}");
                let last = log.stream(stream).map(|entry| entry.event.revision).max();
                let last = last.map_or(-1, |last| i64::try_from(last).unwrap_or(i64::MAX));
                let row = rows.remove(&(projection.as_str(), topic.name.as_str(), stream.as_str()));
                let reached = row.unwrap_or(-1);
                if reached < last {
                    let text = format_args!("has applied up to revision {reached}, the last is {last}");
                    findings.add(Stage::Inbox, Kind::Missing, place, text);
                } else if reached > last {
                    let text = format_args!("has applied up to revision {reached}, the last is only {last}");
                    findings.add(Stage::Inbox, Kind::Mismatch, place, text);
                }
                let revision = |revision: u64| i64::try_from(revision).unwrap_or(i64::MAX);
                count += log.stream(stream).filter(|entry| revision(entry.event.revision) <= reached).count()
                    as u64;
            }
        }
        applied.insert(projection.clone(), count);
    }
    let is_ours = |(projection, ..): &(&str, &str, &str)| projections.contains_key(*projection);
    for (projection, topic, stream) in rows.into_keys().filter(is_ours) {
        let text = format_args!("{topic} has no such stream in the store");
        findings.add(Stage::Inbox, Kind::Mismatch, format_args!("{projection} {stream}"), text);
    }
    offsets(projections, ends, inbox, findings);
    for ParkedEvent { projection, stream, revision, reason } in &inbox.parked {
        let revision = revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
        findings.add(Stage::Inbox, Kind::Parked, format_args!("{projection} {revision}@{stream}"), reason);
    }
    applied
}

/// Every partition was taken up to its last record, and no further than its end: what comes there next would
/// be skipped.
fn offsets(projections: &BTreeMap<String, Vec<String>>, ends: &Ends, inbox: &Inbox, findings: &mut Findings) {
    let rows: HashMap<_, _> = inbox
        .offsets
        .iter()
        .map(|row| ((row.projection.as_str(), row.topic.as_str(), row.partition), row.next.unwrap_or(0)))
        .collect();
    for (projection, read) in projections {
        for ((topic, partition), end) in ends.iter().filter(|((topic, _), _)| read.contains(topic)) {
            let next = rows.get(&(projection.as_str(), topic.as_str(), *partition)).copied().unwrap_or(0);
            let place = format_args!("{projection} {topic}[{partition}]");
            if next <= end.last {
                let text = format_args!("goes on at offset {next}, the last record stands at {}", end.last);
                findings.add(Stage::Inbox, Kind::Missing, place, text);
            } else if next > end.next {
                let text = format_args!("goes on at offset {next}, the partition ends at {}", end.next);
                findings.add(Stage::Inbox, Kind::Mismatch, place, text);
            }
        }
    }
}
