//! Parked events whose records the parked topic lacks.

use aqueduct_core::{ErrorKind, StreamName};
use jiff::Timestamp;

use crate::error::LaneError;
use crate::lane::batcher::Batcher;
use crate::lane::parked_scan::{Scanned, ScannedEvent};
use crate::lane::parking::Parking;
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;
use crate::record::request::RequestState;

/// What an execution does at the end of a round of its scan.
enum Next {
    /// Another round, or the last one.
    Round,
    /// Another scan, from the first record on.
    Rescan,
    /// This event of the selected stream is read from the store: the topic lacks it.
    FromStore(EventReference),
    /// The topic lacks the records of this many events, and the request does not say of which stream.
    Incomplete {
        missing: u64,
    },
    Done,
}

impl Parking {
    fn after_round(&self) -> Next {
        let Some(execution) = self.requests.running.as_ref().filter(|it| it.is_last_round()) else {
            return Next::Round;
        };
        let exceptions = &self.log.exceptions;
        if !execution.is_whole() {
            // A scan that began behind the first record does not show what the topic lacks.
            return if exceptions.has_cut_off_stream() { Next::Rescan } else { Next::Done };
        }
        let Some(stream) = execution.request.selection.stream.as_deref().map(StreamName::from) else {
            return match execution.missing() {
                0 => Next::Done,
                missing => Next::Incomplete { missing },
            };
        };
        let first = exceptions.first_parked(&stream).map(|(first, _)| first);
        match first.filter(|first| !execution.has_met(*first)) {
            None => Next::Done,
            Some(revision) if execution.has_passed_over(revision) => Next::Rescan,
            Some(revision) => Next::FromStore(EventReference { stream, revision }),
        }
    }
}

impl Batcher<'_> {
    /// A round of the scan has ended. An event whose record is missing in the parked topic would block its stream for
    /// ever: it is read from the store where the request names the stream.
    pub(super) async fn round_ended(&mut self) -> Result<(), LaneError> {
        let few = self.lane.options.batch_records.get() as u64;
        let Some(parking) = &mut self.parking else { return Ok(()) };
        match parking.after_round() {
            Next::Round => parking.requests.round_ended(few),
            Next::Rescan => parking.scan_again()?,
            Next::FromStore(event) => self.step_from_store(event).await,
            Next::Incomplete { missing } => {
                let topic = &parking.log.topics.parked;
                if let Some(execution) = &mut parking.requests.running {
                    execution.answer.set_reason(format!(
                        "topic {topic} lacks the records of {missing} parked events: repeat the request for each of \
                         their streams, their events are then read from the store"
                    ));
                }
                parking.requests.finish(RequestState::Failed);
            }
            Next::Done => parking.requests.finish(RequestState::Done),
        }
        Ok(())
    }

    /// Replays or discards the first parked event of the selected stream, which the topic lacks.
    async fn step_from_store(&mut self, event: EventReference) {
        if let Some(execution) = self.parking.as_mut().and_then(|it| it.requests.running.as_mut()) {
            execution.read_from_store();
        }
        let reason = match self.read(&event).await {
            Ok(Some(event)) => {
                let parked = ParkedEvent { event, by_reference: false, parked_at: Timestamp::MIN };
                return self.step(Box::new(ScannedEvent { parked, offset: None })).await;
            }
            Ok(None) => "neither the topic of parked events nor the store has it".to_owned(),
            Err(problem) if problem.kind() == ErrorKind::Retry => {
                return self.stall(&event, &problem, Scanned::End);
            }
            Err(problem) => problem.reason(),
        };
        self.failed_again(&event, reason);
        self.parking.iter_mut().for_each(|it| it.requests.finish(RequestState::Failed));
    }
}
