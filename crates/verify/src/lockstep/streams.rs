//! What is remembered of each stream.

use std::collections::HashMap;

use aqueduct_core::{Revision, StreamName};

/// The streams that a topic selects events of.
#[derive(Debug, Default)]
pub(crate) struct Streams(pub(super) HashMap<StreamName, Stream>);

/// A stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// First and last revision in the store so far.
    pub(super) known: Option<(Revision, Revision)>,
    /// By topic; few.
    pub(super) topics: Vec<InTopic>,
}

/// A stream in one topic.
#[derive(Debug)]
pub(crate) struct InTopic {
    pub(super) topic: usize,
    /// Last event of the store that must have a record.
    pub(super) expected: Option<Revision>,
    /// How many such events there are.
    pub(super) events: u64,
    /// Highest revision among the records.
    pub(super) seen: Option<Revision>,
    /// Runs of events whose turn has passed and that have no record, first and last.
    pub(super) awaited: Vec<(Revision, Revision)>,
    /// Runs of events that had an exception at their turn, first and last.
    pub(super) exceptions: Vec<(Revision, Revision)>,
    /// Runs of events of which no record can be made, first and last.
    pub(super) unreadable: Vec<(Revision, Revision)>,
    /// Events whose record came before their turn.
    pub(super) early: Vec<Revision>,
}

impl Stream {
    pub(super) fn topic(&mut self, topic: usize) -> &mut InTopic {
        let found = self.topics.iter().position(|it| it.topic == topic);
        let index = found.unwrap_or_else(|| {
            let (expected, seen) = (None, None);
            let (awaited, exceptions, unreadable) = (Vec::new(), Vec::new(), Vec::new());
            let early = Vec::new();
            let new = InTopic { topic, expected, events: 0, seen, awaited, exceptions, unreadable, early };
            self.topics.push(new);
            self.topics.len() - 1
        });
        &mut self.topics[index]
    }
}

impl InTopic {
    /// The event's turn has passed without a record.
    pub(super) fn await_record(&mut self, revision: Revision) {
        extend(&mut self.awaited, revision);
    }

    /// No record can be made of the event.
    pub(super) fn cannot_read(&mut self, revision: Revision) {
        extend(&mut self.unreadable, revision);
    }

    /// The event had an exception at its turn.
    pub(super) fn is_exception(&mut self, revision: Revision) {
        extend(&mut self.exceptions, revision);
    }

    pub(super) fn was_exception(&self, revision: Revision) -> bool {
        contains(&self.exceptions, revision)
    }

    pub(super) fn is_unreadable(&self, revision: Revision) -> bool {
        contains(&self.unreadable, revision)
    }

    /// The event must have been applied.
    pub(super) fn expect(&mut self, revision: Revision) {
        self.expected = self.expected.max(Some(revision));
        self.events += 1;
    }

    /// Whether the event was awaited; it no longer is.
    pub(super) fn end_awaiting(&mut self, revision: Revision) -> bool {
        if !contains(&self.awaited, revision) {
            return false;
        }
        let index = self.awaited.partition_point(|(_, last)| *last < revision);
        let (first, last) = self.awaited.remove(index);
        if revision < last {
            self.awaited.insert(index, (revision + 1, last));
        }
        if first < revision {
            self.awaited.insert(index, (first, revision - 1));
        }
        true
    }

    /// Whether the record came before the event's turn; that is then forgotten.
    pub(super) fn end_early(&mut self, revision: Revision) -> bool {
        let found = self.early.iter().position(|early| *early == revision);
        found.map(|index| self.early.swap_remove(index)).is_some()
    }
}

/// Adds a revision behind the last run.
fn extend(runs: &mut Vec<(Revision, Revision)>, revision: Revision) {
    match runs.last_mut() {
        Some((_, last)) if last.checked_add(1) == Some(revision) => *last = revision,
        _ => runs.push((revision, revision)),
    }
}

/// Whether a revision is in one of the runs, which are in their order.
fn contains(runs: &[(Revision, Revision)], revision: Revision) -> bool {
    let run = runs.get(runs.partition_point(|(_, last)| *last < revision));
    run.is_some_and(|(first, _)| *first <= revision)
}

impl Streams {
    /// Whether the event's turn has passed without a record.
    pub(super) fn is_awaited(&self, stream: &StreamName, topic: usize, revision: Revision) -> bool {
        let state = self.0.get(stream).and_then(|stream| stream.topics.iter().find(|it| it.topic == topic));
        state.is_some_and(|state| contains(&state.awaited, revision))
    }

    /// By stream that has expected events in a topic: the last of them, and how many there are.
    pub(crate) fn of_topic(&self, topic: usize) -> impl Iterator<Item = (&StreamName, Revision, u64)> {
        self.0.iter().filter_map(move |(name, stream)| {
            let found = stream.topics.iter().find(|it| it.topic == topic)?;
            Some((name, found.expected?, found.events))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_awaited_events_are_joined_and_split() {
        let mut stream = Stream::default();
        let topic = stream.topic(0);
        for revision in [1, 2, 3, 4, 9] {
            topic.await_record(revision);
        }
        assert_eq!(topic.awaited, [(1, 4), (9, 9)]);
        assert!(
            topic.end_awaiting(2)
                && topic.end_awaiting(9)
                && !topic.end_awaiting(2)
                && !topic.end_awaiting(5)
        );
        assert_eq!(topic.awaited, [(1, 1), (3, 4)]);
    }
}
