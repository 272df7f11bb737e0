//! The next records of a partition.

use std::collections::VecDeque;

use aqueduct_core::{RecordedEvent, Revision};

use super::record::Record;
use super::sources::Sources;
use crate::check::CheckError;

/// How far a record is searched ahead of its turn.
const LOOKAHEAD: usize = 256;

/// A record with the place of its event, as far as it names one.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) record: Record,
    pub(super) revision: Option<Revision>,
    pub(super) position: Option<u64>,
}

impl Next {
    fn of(record: Record) -> Self {
        let (revision, position) = (record.number("ce_revision"), record.number("ce_position"));
        Self { record, revision, position }
    }

    pub(super) fn is(&self, event: &RecordedEvent) -> bool {
        self.revision == Some(event.revision)
            && self.record.key.as_deref() == Some(event.stream.as_str().as_bytes())
    }
}

/// Records of a partition that were read and not judged yet.
#[derive(Debug)]
pub(super) struct Window {
    topic: usize,
    partition: i32,
    next: VecDeque<Next>,
    /// Offset of the last record that was taken, -1 before the first.
    pub(super) last: i64,
    /// How many records were taken.
    pub(super) taken: u64,
}

impl Window {
    pub(super) fn new(topic: usize, partition: i32) -> Self {
        Self { topic, partition, next: VecDeque::new(), last: -1, taken: 0 }
    }

    /// The next record; with `wait` one that is still to come.
    pub(super) fn front(
        &mut self,
        sources: &mut impl Sources,
        wait: bool,
    ) -> Result<Option<&Next>, CheckError> {
        if self.next.is_empty() {
            let record = sources.next_record(self.topic, self.partition, wait)?;
            self.next.extend(record.map(Next::of));
        }
        Ok(self.next.front())
    }

    /// How many records are before that of the event; none if it is not near.
    pub(super) fn distance(
        &mut self,
        event: &RecordedEvent,
        sources: &mut impl Sources,
    ) -> Result<Option<usize>, CheckError> {
        while self.next.len() < LOOKAHEAD {
            match sources.next_record(self.topic, self.partition, false)? {
                Some(record) => self.next.push_back(Next::of(record)),
                None => break,
            }
        }
        Ok(self.next.iter().position(|next| next.is(event)))
    }

    pub(super) fn pop(&mut self) -> Option<Next> {
        let next = self.next.pop_front()?;
        self.last = next.record.offset;
        self.taken += 1;
        Some(next)
    }
}
