//! The dedup tables of the projections judged by the store.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aqueduct_core::{Revision, StreamName};

use crate::finding::{Findings, Kind, Stage};
use crate::lockstep::Streams;
use crate::topic::Topic;

/// What Postgres says about the projections.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Last event applied of each stream.
    pub streams: Vec<InboxStream>,
    /// Where the projections resume.
    pub offsets: Vec<InboxOffset>,
    /// What was parked.
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

/// A parked event.
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

/// What the projections must have applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The streams of the store.
    pub(crate) streams: &'a Streams,
    /// The topics.
    pub(crate) topics: &'a [Topic],
    /// By projection, the topics it reads.
    pub(crate) projections: &'a BTreeMap<String, Vec<String>>,
    /// Where the topics end.
    pub(crate) ends: &'a Ends,
}

/// A row that is ahead of the store as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// The topic, by its index, if it is one that is compared.
    pub(crate) topic: Option<usize>,
    /// The stream.
    pub(crate) stream: StreamName,
    /// What was applied, if it is a revision.
    pub(crate) revision: Option<Revision>,
    place: String,
    text: String,
}

impl Ahead {
    /// Its event was not stored since: it can't have been applied.
    pub(crate) fn report(&self, findings: &mut Findings) {
        findings.add(Stage::Inbox, Kind::Mismatch, &self.place, &self.text);
    }
}

/// Judges the inbox. Returns how many events each projection has applied, and the rows that are a mismatch unless
/// their events were stored since.
pub(crate) fn judge(
    expected: Expected<'_>,
    inbox: &Inbox,
    findings: &mut Findings,
) -> (BTreeMap<String, u64>, Vec<Ahead>) {
    let mut all_ahead = Vec::new();
    let Expected { streams, topics, projections, ends } = expected;
    let mut rows: HashMap<(&str, &str, &str), i64> = HashMap::new();
    for row in &inbox.streams {
        let key = (row.projection.as_str(), row.topic.as_str(), row.stream.as_str());
        if rows.insert(key, row.revision).is_some() {
            let place = format_args!("{} {}", row.projection, row.stream);
            findings.add(Stage::Inbox, Kind::Duplicate, place, "is there more than once");
        }
    }
    let parked = Parked::of(inbox);
    let mut applied = BTreeMap::new();
    for (projection, read) in projections {
        let mut count = 0;
        for (index, topic) in topics.iter().enumerate().filter(|(_, topic)| read.contains(&topic.name)) {
            for (stream, last, events) in streams.of_topic(index) {
                let place = format_args!("{projection} {stream}");
                let last = i64::try_from(last).unwrap_or(i64::MAX);
                let row = rows.remove(&(projection.as_str(), topic.name.as_str(), stream.as_str()));
                let reached = row.unwrap_or(-1);
                if reached < last && !parked.account_for(projection, stream, (reached, last), events) {
                    let text = format_args!("has applied up to revision {reached}, the last is {last}");
                    findings.add(Stage::Inbox, Kind::Missing, place, text);
                }
                if reached > last {
                    all_ahead.push(Ahead {
                        topic: Some(index),
                        stream: stream.clone(),
                        revision: Revision::try_from(reached).ok(),
                        place: place.to_string(),
                        text: format!("has applied up to revision {reached}, the last is only {last}"),
                    });
                }
                // Revisions of a stream that a topic selects in part have gaps: then this is a lower bound.
                count += events.saturating_sub(u64::try_from(last - reached).unwrap_or(0));
            }
        }
        applied.insert(projection.clone(), count);
    }
    let of_projection = |(projection, ..): &(&str, &str, &str)| projections.contains_key(*projection);
    for ((projection, name, stream), reached) in rows.into_iter().filter(|(key, _)| of_projection(key)) {
        all_ahead.push(Ahead {
            topic: topics.iter().position(|topic| topic.name == name),
            stream: StreamName::from(stream),
            revision: Revision::try_from(reached).ok(),
            place: format!("{projection} {stream}"),
            text: format!("{name} has no such stream in the store"),
        });
    }
    offsets(projections, ends, inbox, findings);
    for ParkedEvent { projection, stream, revision, reason } in &inbox.parked {
        let revision = revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
        findings.add(Stage::Inbox, Kind::Parked, format_args!("{projection} {revision}@{stream}"), reason);
    }
    (applied, all_ahead)
}

/// By projection and stream, the revisions that are parked.
struct Parked<'a>(HashMap<(&'a str, &'a str), BTreeSet<i64>>);

impl<'a> Parked<'a> {
    fn of(inbox: &'a Inbox) -> Self {
        let mut revisions: HashMap<_, BTreeSet<i64>> = HashMap::new();
        for ParkedEvent { projection, stream, revision, .. } in &inbox.parked {
            let of_stream = revisions.entry((projection.as_str(), stream.as_str())).or_default();
            of_stream.extend(revision);
        }
        Self(revisions)
    }

    /// Whether all events between what was applied and the last are parked: an event that is parked holds back
    /// those after it. Where a topic selects every event of the stream none may be left out.
    fn account_for(
        &self,
        projection: &str,
        stream: &StreamName,
        (reached, last): (i64, i64),
        events: u64,
    ) -> bool {
        let Some(parked) = self.0.get(&(projection, stream.as_str())) else { return false };
        let selects_all = i64::try_from(events).is_ok_and(|events| events == last + 1);
        let held_back = parked.range(reached + 1..=last).count();
        parked.contains(&last)
            && (!selects_all || i64::try_from(held_back).is_ok_and(|n| n == last - reached))
    }
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
                let text = format_args!("resumes at offset {next}, the last record is at {}", end.last);
                findings.add(Stage::Inbox, Kind::Missing, place, text);
            } else if next > end.next {
                let text = format_args!("resumes at offset {next}, the partition ends at {}", end.next);
                findings.add(Stage::Inbox, Kind::Mismatch, place, text);
            }
        }
    }
}
