//! What a lane writes about events that it does not relay.

use aqueduct_core::{Position, RecordedEvent};
use bytes::Bytes;
use jiff::Timestamp;

use crate::kafka::parked_topics::ParkedTopics;
use crate::lane::batch::Batch;
use crate::lane::exceptions::{Exceptions, Remembered};
use crate::record::Record;
use crate::record::batch_number;
use crate::record::code::Code;
use crate::record::exception::{Exception, ExceptionState, LastRelayed};
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;

/// A lane's exceptions, in memory and in the batch that is being filled. Both change together, so that a batch that
/// is not committed takes nothing with it but the session.
#[derive(Debug)]
pub(crate) struct ExceptionLog {
    pub(crate) topics: ParkedTopics,
    pub(crate) lane: u32,
    /// Largest record.
    pub(crate) max_bytes: usize,
    pub(crate) exceptions: Exceptions,
}

impl ExceptionLog {
    /// Records what became of an event that does not become a record now. Where an earlier event of its stream is parked, `last` must
    /// be unknown: it is not final.
    pub(crate) fn record_exception(
        &mut self,
        batch: &mut Batch,
        event: &RecordedEvent,
        exception: Remembered,
        reason: String,
    ) {
        let reference = EventReference::of(event);
        self.write(batch, &reference, exception, reason, event.position);
        if exception.state == ExceptionState::Parked {
            let Self { topics, lane, max_bytes, .. } = self;
            let now = Timestamp::now();
            batch.push(ParkedEvent::record(&topics.parked, *lane, event, now, *max_bytes));
        }
        *batch.exceptions.entry((exception.state, exception.code)).or_default() += 1;
    }

    /// A parked event has become a record of the batch.
    pub(crate) fn replayed(&mut self, batch: &mut Batch, event: &EventReference) {
        self.exceptions.remove(event);
        let Self { topics, lane, .. } = self;
        for topic in [&topics.exceptions, &topics.parked] {
            batch.push(Record::tombstone(topic, *lane, event.to_string().into()));
        }
    }

    /// A parked event has failed again: it stays where it is, with another reason.
    pub(crate) fn failed_again(
        &mut self,
        batch: &mut Batch,
        event: &RecordedEvent,
        (code, reason): (Code, String),
        last: LastRelayed,
    ) {
        let exception = Remembered { state: ExceptionState::Parked, code, last };
        self.write(batch, &EventReference::of(event), exception, reason, event.position);
    }

    /// Gives up a parked event. `last` as for [`record_exception`](Self::record_exception).
    pub(crate) fn discard(
        &mut self,
        batch: &mut Batch,
        (event, position): (&EventReference, Position),
        reason: String,
        last: LastRelayed,
    ) {
        let exception = Remembered { state: ExceptionState::Discarded, code: Code::Requested, last };
        self.write(batch, event, exception, reason, position);
        let Self { topics, lane, .. } = self;
        batch.push(Record::tombstone(&topics.parked, *lane, event.to_string().into()));
        *batch.exceptions.entry((ExceptionState::Discarded, Code::Requested)).or_default() += 1;
    }

    /// Marks what the batch writes of exceptions and parked events with the number of the batch, which its checkpoint
    /// holds too.
    pub(crate) fn number(&self, batch: &mut Batch, number: u64) {
        let ParkedTopics { exceptions, parked, .. } = &self.topics;
        for record in batch.records.iter_mut().filter(|it| it.topic == *exceptions || it.topic == *parked) {
            batch_number::set(record, number);
        }
    }

    /// Removes a request.
    pub(crate) fn forget_request(&self, batch: &mut Batch, id: Bytes) {
        batch.push(Record::tombstone(&self.topics.requests, self.lane, id));
    }

    fn write(
        &mut self,
        batch: &mut Batch,
        event: &EventReference,
        exception: Remembered,
        reason: String,
        position: Position,
    ) {
        let Remembered { state, code, last } = exception;
        let stored = Exception::new(state, code, reason, position, last);
        batch.push(stored.record(&self.topics.exceptions, self.lane, event));
        self.exceptions.insert(event, exception);
    }
}
