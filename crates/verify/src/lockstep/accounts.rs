//! What is not in a topic when everything was read: each such event needs an exception, and each exception one.

use std::time::{Duration, Instant};

use aqueduct_core::{RecordedEvent, Revision, StreamName};

use super::compare::Previous;
use super::engine::{BACKWARDS, Lockstep, described};
use super::exceptions::{Exceptions, State, Verdict};
use super::reasons::{self, Circumstances};
use super::sources::Sources;
use super::stored::{Parsed, Problem, Stored};
use crate::check::CheckError;
use crate::finding::{Kind, Stage};

/// How often the ends are moved at most while events are read.
const INTERVAL: Duration = Duration::from_secs(1);

/// The broker ends a transaction partition by partition: the record of a replay may be seen so long after the removal of its
/// exception, which was in the same transaction.
const MARKERS: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// An exception to be judged: topic, stream and revision.
type Place = (usize, StreamName, Revision);

impl<S: Sources> Lockstep<'_, S> {
    /// Reads the exceptions up to their ends.
    pub(super) fn read_exceptions(&mut self) -> Result<(), CheckError> {
        for topic in 0..self.topics.len() {
            while let Some(record) = self.sources.next_exception(topic)? {
                if let Err(text) = self.exceptions[topic].take(record.key.as_deref(), record.value.as_deref())
                {
                    let place = format_args!(
                        "{} exceptions[{}]@{}",
                        self.topics[topic].name, record.partition, record.offset
                    );
                    self.findings.add(Stage::Topics, Kind::Mismatch, place, text);
                }
            }
        }
        Ok(())
    }

    /// Moves the ends of all topics to where they are now, so that what was parked or replayed meanwhile is seen.
    pub(super) fn advance(&mut self) -> Result<(), CheckError> {
        self.advanced = Some(Instant::now());
        self.sources.advance()?;
        self.read_exceptions()
    }

    /// Whether the event follows one that was parked at its turn and was replayed since: while an event is parked
    /// those after it are parked too.
    pub(super) fn was_replayed(&mut self, topic: usize, event: &RecordedEvent) -> Result<bool, CheckError> {
        let state = self.state(topic, &event.stream);
        let last = state.exceptions.last().map(|(_, last)| *last);
        if last > state.expected && self.exceptions[topic].was_replayed(&event.stream) {
            return Ok(true);
        }
        let is_blocked = |exceptions: &Exceptions| exceptions.is_blocked(&event.stream, event.revision);
        let exceptions = &self.exceptions[topic];
        if !is_blocked(exceptions) || exceptions.get(&event.stream, event.revision).is_some() {
            return Ok(false);
        }
        if self.advanced.is_none_or(|at| at.elapsed() >= INTERVAL) {
            self.advance()?;
        }
        Ok(!is_blocked(&self.exceptions[topic]))
    }

    /// Judges the exception of an event that was just read, if it has one. `previous` is the record before it.
    pub(super) fn judge_exception(
        &mut self,
        topic: usize,
        event: &RecordedEvent,
        stored: &Result<Stored<'_>, Vec<Problem>>,
        previous: Option<Previous>,
    ) -> bool {
        let exceptions = &mut self.exceptions[topic];
        let Some(exception) = exceptions.get(&event.stream, event.revision) else { return false };
        let circumstances = Circumstances {
            event,
            stored,
            files: self.knowledge.files,
            is_blocked: exceptions.is_blocked(&event.stream, event.revision),
            was_blocked: exceptions.was_blocked(&event.stream, event.revision),
            previous,
            max_record_bytes: self.knowledge.max_record_bytes,
        };
        let verdict = reasons::judge(exception, &circumstances);
        exceptions.judged(&event.stream, event.revision, verdict);
        true
    }

    /// Reads on until each event whose exception was removed has its record, for a while.
    pub(super) fn wait_for_replays(&mut self) -> Result<(), CheckError> {
        let deadline = Instant::now() + MARKERS;
        while self.lacks_a_replayed_record() && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
            self.advance()?;
            self.remaining_records()?;
        }
        Ok(())
    }

    fn lacks_a_replayed_record(&self) -> bool {
        self.outcome.streams.0.iter().any(|(name, stream)| {
            stream.topics.iter().any(|state| {
                let exceptions = &self.exceptions[state.topic];
                let mut awaited = state.awaited.iter().flat_map(|(first, last)| *first..=*last);
                exceptions.was_replayed(name)
                    && awaited.any(|revision| exceptions.get(name, revision).is_none())
            })
        })
    }

    /// Everything that was read without finding its record, and every exception.
    pub(super) fn account(&mut self) -> Result<(), CheckError> {
        for topic in 0..self.topics.len() {
            let exceptions = self.exceptions[topic].all();
            let open: Vec<Place> = exceptions
                .filter(|(.., it)| matches!(it.verdict, Verdict::Open | Verdict::Wrong(_)))
                .map(|(stream, revision, _)| (topic, stream.clone(), revision))
                .collect();
            for place in open {
                self.judge_again(&place)?;
            }
        }
        self.report_exceptions();
        self.report_missing()
    }

    /// Judges an exception whose event was not met since it was written, or that was wrong at its turn, when the
    /// events before it may have been in another state.
    fn judge_again(&mut self, (topic, stream, revision): &Place) -> Result<(), CheckError> {
        let exception = self.exceptions[*topic].get(stream, *revision);
        let was_judged = exception.is_some_and(|it| it.verdict != Verdict::Open);
        let position = exception.map(|it| it.position.commit);
        let topics = self.topics;
        match self.sources.find(stream, *revision, position)? {
            Some(event) if Some(event.position) > self.sources.end() => {}
            Some(event) if topics[*topic].selects(&event) => {
                let parsed = Parsed::of(&event);
                let stored = Stored::read(&event, &parsed, &topics[*topic], self.knowledge.files);
                let previous = if was_judged { Some(self.previous(*topic, &event)?) } else { None };
                self.judge_exception(*topic, &event, &stored, previous);
            }
            None if self.sources.beginning(stream)?.hides(*revision) => {
                self.exceptions[*topic].judged(stream, *revision, Verdict::Gone);
            }
            found => {
                let text = if found.is_some() {
                    "the route does not select the event"
                } else {
                    "the store has no such event"
                };
                self.exceptions[*topic].judged(stream, *revision, Verdict::Wrong(text.into()));
            }
        }
        Ok(())
    }

    fn report_exceptions(&mut self) {
        for (topic, exceptions) in self.exceptions.iter().enumerate() {
            let mut all: Vec<_> = exceptions.all().collect();
            all.sort_unstable_by_key(|(.., exception)| exception.position);
            for (stream, revision, exception) in all {
                let name = &self.topics[topic].name;
                let place = format_args!("{name} {revision}@{stream}");
                let code = &exception.code;
                let (kind, state) = match exception.state {
                    State::Parked => (Kind::Parked, "parked"),
                    State::Skipped => (Kind::Skipped, "skipped"),
                    State::Discarded => (Kind::Discarded, "discarded"),
                };
                let is_absent = self.outcome.streams.is_awaited(stream, topic, revision);
                match &exception.verdict {
                    // Its event comes after the end.
                    Verdict::Open => continue,
                    Verdict::Wrong(text) => {
                        let text = format_args!("is {state} as {code}, but {text}");
                        self.findings.add(Stage::Topics, Kind::Mismatch, place, text);
                        continue;
                    }
                    Verdict::Gone => {
                        self.outcome.gone += 1;
                        continue;
                    }
                    Verdict::NotCompared => self.outcome.not_compared += 1,
                    Verdict::Holds => {}
                }
                if is_absent {
                    self.findings.add(Stage::Topics, kind, place, format_args!("is {state} as {code}"));
                } else {
                    let text = format_args!("is {state} as {code}, but its record is in the topic");
                    self.findings.add(Stage::Topics, Kind::Mismatch, place, text);
                }
            }
        }
    }

    /// What has neither a record nor an exception.
    fn report_missing(&mut self) -> Result<(), CheckError> {
        let mut missing: Vec<Place> = Vec::new();
        for (name, stream) in &self.outcome.streams.0 {
            for state in &stream.topics {
                let runs = state.awaited.iter().flat_map(|(first, last)| *first..=*last);
                let has_none =
                    |revision: &Revision| self.exceptions[state.topic].get(name, *revision).is_none();
                for revision in runs.filter(has_none) {
                    if state.is_unreadable(revision) {
                        missing.push((state.topic, name.clone(), revision));
                        continue;
                    }
                    let text = format_args!("{revision}@{name} has no record");
                    self.findings.add(Stage::Topics, Kind::Missing, &self.topics[state.topic].name, text);
                }
            }
        }
        for (topic, stream, revision) in missing {
            self.report_unreadable(topic, &stream, revision)?;
        }
        Ok(())
    }

    /// An event that can have no record needs an exception where the topic has any.
    fn report_unreadable(
        &mut self,
        topic: usize,
        stream: &StreamName,
        revision: Revision,
    ) -> Result<(), CheckError> {
        let event = self.sources.find(stream, revision, None)?;
        let reason = event.map(|event| {
            let parsed = Parsed::of(&event);
            let stored = Stored::read(&event, &parsed, &self.topics[topic], self.knowledge.files);
            stored.err().map(|problems| described(&problems)).unwrap_or_default()
        });
        let text = format_args!(
            "{revision}@{stream} has neither a record nor an exception: {}",
            reason.unwrap_or_default()
        );
        self.findings.add(Stage::Topics, Kind::Missing, &self.topics[topic].name, text);
        Ok(())
    }

    /// The event before this one that has a record in the topic, from the store.
    pub(super) fn previous(&mut self, topic: usize, event: &RecordedEvent) -> Result<Previous, CheckError> {
        let lowest = event.revision.saturating_sub(BACKWARDS);
        for revision in (lowest..event.revision).rev() {
            let Some(found) = self.sources.find(&event.stream, revision, None)? else {
                return Ok(Previous::Truncated);
            };
            let is_exception = self.exceptions[topic].get(&found.stream, revision).is_some();
            if is_exception || !self.topics[topic].selects(&found) {
                continue;
            }
            let parsed = Parsed::of(&found);
            if Stored::read(&found, &parsed, &self.topics[topic], self.knowledge.files).is_ok() {
                return Ok(Previous::Is(revision));
            }
        }
        Ok(if lowest == 0 { Previous::None } else { Previous::Truncated })
    }
}
