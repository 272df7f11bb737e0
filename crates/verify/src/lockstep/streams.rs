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
    /// Events whose record came before their turn.
    pub(super) early: Vec<Revision>,
}

impl Stream {
    pub(super) fn topic(&mut self, topic: usize) -> &mut InTopic {
        let found = self.topics.iter().position(|it| it.topic == topic);
        let index = found.unwrap_or_else(|| {
            let (expected, seen) = (None, None);
            let new = InTopic { topic, expected, events: 0, seen, awaited: Vec::new(), early: Vec::new() };
            self.topics.push(new);
            self.topics.len() - 1
        });
        &mut self.topics[index]
    }
}

impl InTopic {
    /// The event's turn has passed without a record.
    pub(super) fn await_record(&mut self, revision: Revision) {
        match self.awaited.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(revision) => *last = revision,
            _ => self.awaited.push((revision, revision)),
        }
    }

    /// Whether the event was awaited; it no longer is.
    pub(super) fn end_awaiting(&mut self, revision: Revision) -> bool {
        let found = self.awaited.iter().position(|(first, last)| (*first..=*last).contains(&revision));
        let Some(index) = found else { return false };
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

impl Streams {
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
