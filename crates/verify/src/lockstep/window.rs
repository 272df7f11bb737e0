//! The next records of a partition.

use std::collections::VecDeque;

use aqueduct_core::{RecordedEvent, Revision};

use super::record::Record;
use super::sources::Sources;
use crate::check::CheckError;

/// How far a record is searched ahead of its turn.
const LOOKAHEAD: usize = 256;

/// No further record is read ahead where those of the window have this many bytes.
const LOOKAHEAD_BYTES: usize = 4 << 20;

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
    /// Size of the records in `next`.
    bytes: usize,
    /// Offset of the last record that was taken, -1 before the first.
    pub(super) last: i64,
    /// How many records were taken.
    pub(super) taken: u64,
}

impl Window {
    pub(super) fn new(topic: usize, partition: i32) -> Self {
        Self { topic, partition, next: VecDeque::new(), bytes: 0, last: -1, taken: 0 }
    }

    /// The next record; with `wait` one that is still to come.
    pub(super) fn front(
        &mut self,
        sources: &mut impl Sources,
        wait: bool,
    ) -> Result<Option<&Next>, CheckError> {
        if self.next.is_empty() {
            let record = sources.next_record(self.topic, self.partition, wait)?;
            if let Some(record) = record {
                self.push(record);
            }
        }
        Ok(self.next.front())
    }

    /// How many records are before that of the event; none if it is not near.
    pub(super) fn distance(
        &mut self,
        event: &RecordedEvent,
        sources: &mut impl Sources,
    ) -> Result<Option<usize>, CheckError> {
        while self.next.len() < LOOKAHEAD && self.bytes < LOOKAHEAD_BYTES {
            match sources.next_record(self.topic, self.partition, false)? {
                Some(record) => self.push(record),
                None => break,
            }
        }
        Ok(self.next.iter().position(|next| next.is(event)))
    }

    fn push(&mut self, record: Record) {
        self.bytes += record.size();
        self.next.push_back(Next::of(record));
    }

    pub(super) fn pop(&mut self) -> Option<Next> {
        let next = self.next.pop_front()?;
        self.bytes -= next.record.size();
        self.last = next.record.offset;
        self.taken += 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aqueduct_core::{Position, StreamName};

    use super::*;
    use crate::lockstep::sources::Beginning;
    use crate::payload::Schema;

    /// One partition whose records all have one size.
    struct Endless {
        size: usize,
        read: usize,
    }

    impl Sources for Endless {
        fn next_event(&mut self) -> Result<Option<RecordedEvent>, CheckError> {
            Ok(None)
        }

        fn find(
            &mut self,
            _: &StreamName,
            _: Revision,
            _: Option<u64>,
        ) -> Result<Option<RecordedEvent>, CheckError> {
            Ok(None)
        }

        fn beginning(&mut self, _: &StreamName) -> Result<Beginning, CheckError> {
            Ok(Beginning::Never)
        }

        fn next_record(&mut self, _: usize, _: i32, _: bool) -> Result<Option<Record>, CheckError> {
            self.read += 1;
            Ok(Some(Record { value: Some(vec![0; self.size]), ..Record::default() }))
        }

        fn schema(&mut self, _: u32) -> Result<Result<Arc<Schema>, String>, CheckError> {
            Ok(Err("unknown".to_owned()))
        }

        fn has_exceptions(&self, _: usize) -> bool {
            false
        }

        fn next_exception(&mut self, _: usize) -> Result<Option<Record>, CheckError> {
            Ok(None)
        }

        fn is_recent(&self, _: usize, _: &Record) -> bool {
            false
        }

        fn advance(&mut self) -> Result<(), CheckError> {
            Ok(())
        }

        fn end(&self) -> Option<Position> {
            None
        }
    }

    #[test]
    fn the_window_is_bounded_by_records_and_by_bytes() {
        let event = RecordedEvent {
            stream: StreamName::from("account-1"),
            revision: 0,
            position: Position::at(1),
            id: uuid::Uuid::nil(),
            event_type: "Deposited".to_owned(),
            content_type: aqueduct_core::ContentType::Json,
            data: Vec::new().into(),
            metadata: Vec::new().into(),
            created: jiff::Timestamp::UNIX_EPOCH,
        };
        for (size, expected) in [(100, LOOKAHEAD), (1 << 20, 4)] {
            let mut records = Endless { size, read: 0 };
            let mut window = Window::new(0, 0);
            assert_eq!(window.distance(&event, &mut records).unwrap(), None);
            assert_eq!(records.read, expected, "records of {size} bytes");
            // What was taken makes room.
            window.pop();
            assert_eq!(window.distance(&event, &mut records).unwrap(), None);
            assert_eq!(records.read, expected + 1, "records of {size} bytes");
        }
    }
}
