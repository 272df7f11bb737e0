//! The dedup tables of the projections judged by the store.

use std::collections::{BTreeMap, HashMap};

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
    /// Parked and discarded events.
    pub parked: Vec<ParkedEvent>,
}

/// A stream in the inbox of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxStream {
    /// Name of the projection.
    pub projection: String,
    /// The store its events came from, as in `ce_source`.
    pub source: String,
    /// The topic its records came from.
    pub topic: String,
    /// The stream.
    pub stream: String,
    /// Revision of the last event that was applied, -1 before the first.
    pub revision: i64,
}

/// How far a projection has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxOffset {
    /// Name of the projection.
    pub projection: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record to read, none: from the beginning.
    pub next: Option<i64>,
}

/// A parked event, or one that was parked and discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Name of the projection.
    pub projection: String,
    /// The store it came from, as in `ce_source`.
    pub source: String,
    /// The topic it came from.
    pub topic: String,
    /// Its stream.
    pub stream: String,
    /// Its revision, where it could be read.
    pub revision: Option<i64>,
    /// An operator gave it up: it is no longer waiting.
    pub is_discarded: bool,
    /// Why it was parked.
    pub reason: String,
}

/// By topic and partition, an offset.
pub(crate) type Offsets = HashMap<(String, i32), i64>;

/// What the projections must have applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The streams of the store.
    pub(crate) streams: &'a Streams,
    /// What the relay calls the store.
    pub(crate) source: &'a str,
    /// The topics.
    pub(crate) topics: &'a [Topic],
    /// By projection, the topics it reads.
    pub(crate) projections: &'a BTreeMap<String, Vec<String>>,
    /// Offsets of the last records that were compared, -1 for a partition without one.
    pub(crate) last: &'a Offsets,
}

/// A row that is ahead of the store as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// Index of the topic.
    pub(crate) topic: usize,
    /// The stream.
    pub(crate) stream: StreamName,
    /// What was applied, if it is a revision.
    pub(crate) revision: Option<Revision>,
    place: String,
    text: String,
}

impl Ahead {
    /// Its event was not stored since: it cannot have been applied.
    pub(crate) fn report(&self, findings: &mut Findings) {
        findings.add(Stage::Inbox, Kind::Mismatch, &self.place, &self.text);
    }
}

/// Judges the inbox. Returns how many events each projection has applied, and the rows that are a mismatch unless
/// their events were stored since. Rows of other stores and of topics that are not compared are ignored.
pub(crate) fn judge(
    expected: Expected<'_>,
    inbox: &Inbox,
    findings: &mut Findings,
) -> (BTreeMap<String, u64>, Vec<Ahead>) {
    let mut all_ahead = Vec::new();
    let Expected { streams, source, topics, projections, .. } = expected;
    let mut rows = rows_of(source, inbox, findings);
    let parked = Parked::of(source, inbox);
    let mut applied = BTreeMap::new();
    for (projection, read) in projections {
        let mut count = 0;
        for (index, topic) in topics.iter().enumerate().filter(|(_, topic)| read.contains(&topic.name)) {
            for (stream, last, events) in streams.of_topic(index) {
                let place = format_args!("{projection} {stream}");
                let last = i64::try_from(last).unwrap_or(i64::MAX);
                let key = (projection.as_str(), topic.name.as_str(), stream.as_str());
                let reached = rows.remove(&key).unwrap_or(-1);
                if reached < last && !parked.account_for(key, (reached, last), events) {
                    let text = format_args!("has applied up to revision {reached}, the last is {last}");
                    findings.add(Stage::Inbox, Kind::Missing, place, text);
                }
                if reached > last {
                    all_ahead.push(Ahead {
                        topic: index,
                        stream: stream.clone(),
                        revision: Revision::try_from(reached).ok(),
                        place: place.to_string(),
                        text: format!("has applied up to revision {reached}, the last is only {last}"),
                    });
                }
                // Revisions of a stream that a topic selects in part have gaps: then this is a lower bound.
                let not_applied = u64::try_from(last - reached).unwrap_or(0);
                count += events.saturating_sub(not_applied + parked.discarded_up_to(key, reached));
            }
        }
        applied.insert(projection.clone(), count);
    }
    for ((projection, name, stream), reached) in rows {
        let topic = topics.iter().position(|topic| topic.name == name);
        // At -1 nothing was applied: the first event is parked.
        let (Some(topic), true, 0..) = (topic, projections.contains_key(projection), reached) else {
            continue;
        };
        all_ahead.push(Ahead {
            topic,
            stream: StreamName::from(stream),
            revision: Revision::try_from(reached).ok(),
            place: format!("{projection} {stream}"),
            text: format!("{name} has no such stream in the store"),
        });
    }
    offsets(expected, inbox, findings);
    report_parked(expected, inbox, findings);
    (applied, all_ahead)
}

/// A stream of a projection: name of the projection, of the topic and of the stream.
type Key<'a> = (&'a str, &'a str, &'a str);

/// The revisions that the rows of a store have reached.
fn rows_of<'a>(source: &str, inbox: &'a Inbox, findings: &mut Findings) -> HashMap<Key<'a>, i64> {
    let mut rows = HashMap::new();
    for row in inbox.streams.iter().filter(|row| row.source == source) {
        let key = (row.projection.as_str(), row.topic.as_str(), row.stream.as_str());
        if rows.insert(key, row.revision).is_some() {
            let place = format_args!("{} {}", row.projection, row.stream);
            findings.add(Stage::Inbox, Kind::Duplicate, place, "is there more than once");
        }
    }
    rows
}

/// By stream, the revisions that are parked or discarded; true for those that are discarded.
struct Parked<'a>(HashMap<Key<'a>, BTreeMap<i64, bool>>);

impl<'a> Parked<'a> {
    fn of(source: &str, inbox: &'a Inbox) -> Self {
        let mut revisions: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for event in inbox.parked.iter().filter(|event| event.source == source) {
            let key = (event.projection.as_str(), event.topic.as_str(), event.stream.as_str());
            let of_stream = revisions.entry(key).or_default();
            of_stream.extend(event.revision.map(|revision| (revision, event.is_discarded)));
        }
        Self(revisions)
    }

    /// Whether all events between what was applied and the last are parked or discarded: an event that is parked
    /// blocks those after it. Where a topic selects every event of the stream none may be left out.
    fn account_for(&self, key: Key<'_>, (reached, last): (i64, i64), events: u64) -> bool {
        let Some(parked) = self.0.get(&key) else { return false };
        let selects_all = i64::try_from(events).is_ok_and(|events| events == last + 1);
        let blocked = parked.range(reached + 1..=last).count();
        parked.contains_key(&last)
            && (!selects_all || i64::try_from(blocked).is_ok_and(|blocked| blocked == last - reached))
    }

    /// How many discarded events the inbox has passed without applying them.
    fn discarded_up_to(&self, key: Key<'_>, reached: i64) -> u64 {
        let Some(parked) = self.0.get(&key) else { return 0 };
        parked.range(..=reached).filter(|(_, is_discarded)| **is_discarded).count() as u64
    }
}

/// Reports parked events of any source: a projection parks the records of other stores.
fn report_parked(expected: Expected<'_>, inbox: &Inbox, findings: &mut Findings) {
    let is_compared = |event: &&ParkedEvent| {
        let is_topic = expected.topics.iter().any(|topic| topic.name == event.topic);
        is_topic && expected.projections.contains_key(&event.projection)
    };
    for event in inbox.parked.iter().filter(is_compared) {
        let ParkedEvent { projection, stream, revision, is_discarded, reason, .. } = event;
        let revision = revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
        let kind = if *is_discarded { Kind::Discarded } else { Kind::Parked };
        findings.add(Stage::Inbox, kind, format_args!("{projection} {revision}@{stream}"), reason);
    }
}

/// Every partition must have been read up to the last record that was compared.
fn offsets(expected: Expected<'_>, inbox: &Inbox, findings: &mut Findings) {
    let rows: HashMap<_, _> = inbox
        .offsets
        .iter()
        .map(|row| ((row.projection.as_str(), row.topic.as_str(), row.partition), row.next.unwrap_or(0)))
        .collect();
    for (projection, read) in expected.projections {
        for ((topic, partition), last) in expected.last.iter().filter(|((topic, _), _)| read.contains(topic))
        {
            let next = rows.get(&(projection.as_str(), topic.as_str(), *partition)).copied().unwrap_or(0);
            if next <= *last {
                let place = format_args!("{projection} {topic}[{partition}]");
                let text = format_args!("resumes at offset {next}, the last record is at {last}");
                findings.add(Stage::Inbox, Kind::Missing, place, text);
            }
        }
    }
}

/// No partition may have been read further than its end: what comes there next would be skipped. The ends must be
/// read after the inbox, because projections advance. Markers of transactions take offsets too, so an end is not
/// the last record's offset plus one.
pub(crate) fn judge_ends(
    projections: &BTreeMap<String, Vec<String>>,
    ends: &Offsets,
    inbox: &Inbox,
    findings: &mut Findings,
) {
    let is_read =
        |row: &&InboxOffset| projections.get(&row.projection).is_some_and(|it| it.contains(&row.topic));
    for row in inbox.offsets.iter().filter(is_read) {
        let InboxOffset { projection, topic, partition, next } = row;
        let Some(end) = ends.get(&(topic.clone(), *partition)) else { continue };
        if let Some(next) = next.filter(|next| next > end) {
            let place = format_args!("{projection} {topic}[{partition}]");
            let text = format_args!("resumes at offset {next}, the partition ends at {end}");
            findings.add(Stage::Inbox, Kind::Mismatch, place, text);
        }
    }
}
