//! The one pass over store and topics.

use std::collections::BTreeMap;
use std::time::Instant;

use aqueduct_core::{Position, RecordedEvent, StreamName};

use super::compare::{Known, Previous, compare};
use super::exceptions::Exceptions;
use super::record::{Record, schema_id};
use super::sources::Sources;
use super::stored::{Parsed, Problem, Stored};
use super::streams::{InTopic, Streams};
use super::window::{Next, Window};
use crate::check::CheckError;
use crate::finding::{Findings, Kind, Stage};
use crate::murmur2::partition;
use crate::payload::Files;
use crate::system::System;
use crate::topic::Topic;

/// How far back the relay searches the record before an event, and the checker too.
pub(super) const BACKWARDS: u64 = 10_000;

/// Compares what the store holds with what the topics hold.
pub(crate) struct Lockstep<'a, S> {
    pub(super) sources: &'a mut S,
    pub(super) knowledge: Knowledge<'a>,
    pub(super) topics: &'a [Topic],
    pub(super) findings: &'a mut Findings,
    windows: Vec<Vec<Window>>,
    /// By topic.
    pub(super) exceptions: Vec<Exceptions>,
    /// When the ends were last moved.
    pub(super) advanced: Option<Instant>,
    last_position: Option<Position>,
    pub(super) outcome: Outcome,
}

/// What is known besides store and topics.
pub(crate) struct Knowledge<'a> {
    /// What only one system knows.
    pub(crate) system: Option<&'a mut dyn System>,
    /// Its schema files.
    pub(crate) files: Option<&'a Files>,
    /// What the relay calls the store.
    pub(crate) source: &'a str,
    /// The largest record that the relay writes.
    pub(crate) max_record_bytes: Option<usize>,
}

/// What the pass has counted and what the later stages need.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What must have been applied, by stream.
    pub(crate) streams: Streams,
    /// Events that some topic selects.
    pub(crate) stored: u64,
    /// Records.
    pub(crate) relayed: u64,
    /// Records that carry a later version than the store.
    pub(crate) upcast: u64,
    /// Records whose payload was not compared, because a rule made it.
    pub(crate) not_compared: u64,
    /// Records and exceptions of events that the store no longer has.
    pub(crate) gone: u64,
    /// Events of the server that no topic selects.
    pub(crate) system_events: u64,
    /// Other events that no topic selects.
    pub(crate) foreign_events: u64,
    /// By topic and partition, the offset of the last record that was read; -1 if none was.
    pub(crate) last: BTreeMap<(usize, i32), i64>,
}

impl<'a, S: Sources> Lockstep<'a, S> {
    pub(crate) fn new(
        sources: &'a mut S,
        knowledge: Knowledge<'a>,
        topics: &'a [Topic],
        findings: &'a mut Findings,
    ) -> Self {
        let of_topic = |(index, topic): (usize, &Topic)| {
            (0..topic.partitions).map(|partition| Window::new(index, partition)).collect()
        };
        let windows = topics.iter().enumerate().map(of_topic).collect();
        Self {
            sources,
            knowledge,
            topics,
            findings,
            windows,
            exceptions: topics.iter().map(|_| Exceptions::default()).collect(),
            advanced: None,
            last_position: None,
            outcome: Outcome::default(),
        }
    }

    /// Reads everything. `seen` is called with each event's position, for showing progress.
    pub(crate) fn run(mut self, mut seen: impl FnMut(Position)) -> Result<Outcome, CheckError> {
        self.read_exceptions()?;
        while let Some(event) = self.sources.next_event()? {
            seen(event.position);
            self.event(&event)?;
        }
        self.remaining_records()?;
        // What was parked or replayed while the events were read.
        self.advance()?;
        self.remaining_records()?;
        self.wait_for_replays()?;
        self.account()?;
        for (topic, windows) in self.windows.iter().enumerate() {
            for (partition, window) in (0..).zip(windows) {
                self.outcome.last.insert((topic, partition), window.last);
                self.outcome.relayed += window.taken;
            }
        }
        Ok(self.outcome)
    }

    fn event(&mut self, event: &RecordedEvent) -> Result<(), CheckError> {
        let topics = self.topics;
        let is_next =
            !topics.iter().any(|topic| topic.selection.may_select(&event.stream)) || self.is_next(event)?;
        let selects = |topic: &Topic| topic.selects(event);
        if !topics.iter().any(selects) {
            if event.stream.is_system() {
                self.outcome.system_events += 1;
            } else {
                self.outcome.foreign_events += 1;
            }
            return Ok(());
        }
        self.outcome.stored += 1;
        if let Some(system) = &mut self.knowledge.system {
            system.see(event);
        }
        if !is_next {
            return Ok(());
        }
        let parsed = Parsed::of(event);
        for (index, topic) in topics.iter().enumerate().filter(|(_, topic)| selects(topic)) {
            let stored = Stored::read(event, &parsed, topic, self.knowledge.files);
            self.in_topic(index, event, &stored)?;
        }
        Ok(())
    }

    /// Whether the event follows what was read of its stream; what does not is a finding. A stream may begin at
    /// any revision, because the store may have truncated it.
    fn is_next(&mut self, event: &RecordedEvent) -> Result<bool, CheckError> {
        if let Some(last) = self.last_position.filter(|last| *last >= event.position) {
            let text = format!("is at position {} behind {last}", event.position);
            self.findings.add(Stage::Store, Kind::OutOfOrder, event.reference(), text);
        }
        self.last_position = self.last_position.max(Some(event.position));
        let stream = match self.outcome.streams.0.get_mut(&event.stream) {
            Some(stream) => stream,
            None => self.outcome.streams.0.entry(event.stream.clone()).or_default(),
        };
        let Some((first, last)) = stream.known else {
            stream.known = Some((event.revision, event.revision));
            return Ok(true);
        };
        if event.revision <= last {
            let text = format!("comes after revision {last}");
            self.findings.add(Stage::Store, Kind::Duplicate, event.reference(), text);
            return Ok(false);
        }
        let has_gap = event.revision > last + 1;
        // A store that is being scavenged has lost some of the events that it may lose, and not yet all.
        let is_truncated = has_gap && self.sources.beginning(&event.stream)?.hides(last + 1);
        stream.known = Some((if is_truncated { event.revision } else { first }, event.revision));
        if has_gap && !is_truncated {
            let text = format!("the stream has no event {} before it", last + 1);
            self.findings.add(Stage::Store, Kind::Missing, event.reference(), text);
        }
        Ok(true)
    }

    /// Finds the record of the event, which is the next one of its partition unless something is wrong.
    fn in_topic(
        &mut self,
        topic: usize,
        event: &RecordedEvent,
        stored: &Result<Stored<'_>, Vec<Problem>>,
    ) -> Result<(), CheckError> {
        let home = partition(event.stream.as_str().as_bytes(), self.topics[topic].partitions);
        let window = usize::try_from(home).unwrap_or_default();
        let stream = self.outcome.streams.0.entry(event.stream.clone()).or_default();
        let truncated = stream.known.is_some_and(|(first, _)| first > 0);
        let is_behind_gap = truncated && stream.known.is_some_and(|(first, _)| first == event.revision);
        let state = stream.topic(topic);
        let mut previous = match state.expected {
            _ if is_behind_gap => Previous::Truncated,
            Some(previous) if event.revision.saturating_sub(previous) > BACKWARDS => {
                Previous::Far(Some(previous))
            }
            Some(previous) => Previous::Is(previous),
            None if truncated => Previous::Truncated,
            None if event.revision > BACKWARDS => Previous::Far(None),
            None => Previous::None,
        };
        if state.end_early(event.revision) {
            state.expect(event.revision);
            return Ok(());
        }
        if self.was_replayed(topic, event)? {
            previous = self.previous(topic, event)?;
        }
        let advanced = self.advanced;
        let is_exception = self.judge_exception(topic, event, stored, Some(previous));
        let is_expected = stored.is_ok() && !is_exception;
        let state = self.state(topic, &event.stream);
        if is_expected {
            state.expect(event.revision);
        }
        if is_exception {
            state.is_exception(event.revision);
        }
        loop {
            let Some(front) = self.windows[topic][window].front(self.sources, is_expected)? else { break };
            if front.is(event) {
                let Some(next) = self.windows[topic][window].pop() else { break };
                if is_exception {
                    self.state(topic, &event.stream).expect(event.revision);
                }
                if self.advanced != advanced && self.exceptions[topic].was_replayed(&event.stream) {
                    previous = self.previous(topic, event)?;
                }
                return self.own_record(topic, &next.record, event, stored, previous);
            }
            let is_later = front.position.is_some_and(|position| position > commit(event));
            let before = self.windows[topic][window].distance(event, self.sources)?;
            if before.is_none() && is_later {
                break;
            }
            for _ in 0..before.unwrap_or(1) {
                if let Some(next) = self.windows[topic][window].pop() {
                    self.out_of_order(topic, &next)?;
                }
            }
        }
        match stored {
            Err(problems) if !self.sources.has_exceptions(topic) => {
                let reason = described(problems);
                let place = format_args!("{} {}", self.topics[topic].name, event.reference());
                let text = format_args!("has no record: {reason}");
                self.findings.add(Stage::Topics, Kind::Skipped, place, text);
            }
            stored => {
                let state = self.state(topic, &event.stream);
                state.await_record(event.revision);
                if stored.is_err() {
                    state.cannot_read(event.revision);
                }
            }
        }
        Ok(())
    }

    pub(super) fn state(&mut self, topic: usize, stream: &StreamName) -> &mut InTopic {
        self.outcome.streams.0.entry(stream.clone()).or_default().topic(topic)
    }

    /// Judges a record by its event.
    fn own_record(
        &mut self,
        topic: usize,
        record: &Record,
        event: &RecordedEvent,
        stored: &Result<Stored<'_>, Vec<Problem>>,
        mut previous: Previous,
    ) -> Result<(), CheckError> {
        let reference = event.reference();
        self.any_record(topic, record);
        if self.sources.is_recent(topic, record) {
            if self.exceptions[topic].is_blocked(&event.stream, event.revision) {
                // What was parked before it was replayed before it was relayed.
                self.advance()?;
                previous = self.previous(topic, event)?;
            }
            // A replay that wrote the record removed the exception in the same transaction, after they were read.
            self.exceptions[topic].remove(&event.stream, event.revision);
        }
        let state = self.state(topic, &event.stream);
        let last = state.seen.filter(|last| *last > event.revision);
        state.seen = state.seen.max(Some(event.revision));
        if let Some(last) = last {
            let text = format!("{reference} comes after {last}@{}", event.stream);
            self.record_finding(topic, record, Kind::OutOfOrder, text);
        }
        let stored = match stored {
            Ok(stored) => stored,
            Err(problems) => {
                let text = format!("{reference} should have no record: {}", described(problems));
                self.record_finding(topic, record, Kind::Mismatch, text);
                return Ok(());
            }
        };
        let schema = match schema_id(record) {
            Some(id) => self.sources.schema(id)?,
            None => Err("its value is not in the wire format (0, schema id, Avro)".to_owned()),
        };
        let schema = schema.as_deref().map_err(String::as_str);
        let Knowledge { system, files, source, .. } = &self.knowledge;
        let known = Known { system: system.as_deref(), files: *files, source, previous, schema };
        let compared = compare(record, event, stored, known);
        self.outcome.upcast += u64::from(compared.upcast);
        self.outcome.not_compared += u64::from(!compared.payload && compared.differences.is_empty());
        for text in compared.differences {
            self.record_finding(topic, record, Kind::Mismatch, format!("{reference}: {text}"));
        }
        Ok(())
    }

    /// Judges a record that is not where `$all` has its event: replayed, swapped, twice or foreign.
    fn out_of_order(&mut self, topic: usize, next: &Next) -> Result<(), CheckError> {
        let record = &next.record;
        let Ok(name) = str::from_utf8(record.key.as_deref().unwrap_or_default()) else {
            self.any_record(topic, record);
            self.record_finding(topic, record, Kind::Mismatch, "its key is not text".to_owned());
            return Ok(());
        };
        let Some(revision) = next.revision else {
            self.any_record(topic, record);
            let text = format!("of {name}, but ce_revision is not a number");
            self.record_finding(topic, record, Kind::Mismatch, text);
            return Ok(());
        };
        let stream = StreamName::from(name);
        let topics = self.topics;
        let selects = |event: &RecordedEvent| topics[topic].selects(event);
        let event = self.sources.find(&stream, revision, next.position)?.filter(selects);
        let Some(event) = event else {
            self.any_record(topic, record);
            if self.sources.beginning(&stream)?.hides(revision) {
                self.outcome.gone += 1;
                return Ok(());
            }
            let text = format!("{revision}@{name} is not an event of this topic in the store");
            self.record_finding(topic, record, Kind::Mismatch, text);
            return Ok(());
        };
        let state = self.state(topic, &stream);
        let is_due = state.end_awaiting(revision);
        if is_due && state.was_exception(revision) {
            state.expect(revision);
        }
        let had_its_turn = state.expected.is_some_and(|expected| revision <= expected);
        if !is_due && (had_its_turn || state.early.contains(&revision)) {
            self.any_record(topic, record);
            let text = format!("{revision}@{name} was there before");
            self.record_finding(topic, record, Kind::Duplicate, text);
            return Ok(());
        }
        if !is_due {
            state.early.push(revision);
        }
        let previous = self.previous(topic, &event)?;
        let parsed = Parsed::of(&event);
        let stored = Stored::read(&event, &parsed, &topics[topic], self.knowledge.files);
        self.own_record(topic, record, &event, &stored, previous)
    }

    /// What holds for any record.
    fn any_record(&mut self, topic: usize, record: &Record) {
        let home = partition(record.key.as_deref().unwrap_or_default(), self.topics[topic].partitions);
        if home != record.partition {
            let text = format!("its key belongs to partition {home}");
            self.record_finding(topic, record, Kind::Mismatch, text);
        }
        if record.unnamed_headers > 0 {
            let text = format!("{} headers have names that are not UTF-8", record.unnamed_headers);
            self.record_finding(topic, record, Kind::Mismatch, text);
        }
    }

    fn record_finding(&mut self, topic: usize, record: &Record, kind: Kind, text: String) {
        let place = format_args!("{}[{}]@{}", self.topics[topic].name, record.partition, record.offset);
        self.findings.add(Stage::Topics, kind, place, text);
    }

    /// What is still in the topics when the store is at its end. What was written since belongs to later events.
    pub(super) fn remaining_records(&mut self) -> Result<(), CheckError> {
        let end = self.sources.end();
        for topic in 0..self.topics.len() {
            for window in 0..self.windows[topic].len() {
                while self.windows[topic][window].front(self.sources, false)?.is_some() {
                    let Some(next) = self.windows[topic][window].pop() else { break };
                    if !self.is_later(&next, end)? {
                        self.out_of_order(topic, &next)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the record's event was stored after the end that was fixed.
    fn is_later(&mut self, next: &Next, end: Option<Position>) -> Result<bool, CheckError> {
        let key = next.record.key.as_deref().and_then(|key| str::from_utf8(key).ok());
        let (Some(key), Some(revision), Some(position)) = (key, next.revision, next.position) else {
            return Ok(false);
        };
        if end.is_some_and(|end| position <= end.commit) {
            return Ok(false);
        }
        let event = self.sources.find(&StreamName::from(key), revision, Some(position))?;
        Ok(event.is_some_and(|event| Some(event.position) > end))
    }
}

/// All that is wrong with an event.
pub(super) fn described(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.text.as_str()).collect::<Vec<_>>().join("; ")
}

/// Commit position of an event, which is what its record's `ce_position` holds.
fn commit(event: &RecordedEvent) -> u64 {
    event.position.commit
}
