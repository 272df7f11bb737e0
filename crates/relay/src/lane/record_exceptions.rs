//! Recording an exception in place of a record.

use aqueduct_core::{ErrorKind, RecordedEvent};

use crate::lane::batcher::Batcher;
use crate::lane::exceptions::Remembered;
use crate::lane::problem::EventProblem;
use crate::record::code::Code;
use crate::record::exception::{ExceptionState, LastRelayed};
use crate::record::reference::EventReference;
use crate::route::OnBadEvent;

impl Batcher<'_> {
    /// Makes a record of an event of the lane, or an exception where its stream is blocked or the route's policy says
    /// so for a bad event. An error leaves everything as it is.
    pub(super) async fn relay_or_record_exception(
        &mut self,
        event: &RecordedEvent,
    ) -> Result<(), EventProblem> {
        if self.parking.as_ref().is_some_and(|it| it.is_blocked(&event.stream)) {
            let (state, code) = (ExceptionState::Parked, Code::Blocked);
            // What comes before it is not final.
            let exception = Remembered { state, code, last: LastRelayed::Unknown };
            self.record_exception(event, exception, "an earlier event of its stream is parked".to_owned());
            return Ok(());
        }
        let problem = match self.make_record(event).await {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        let state = match self.lane.options.on_bad_event(&self.lane.definition.route) {
            OnBadEvent::Halt => return Err(problem),
            OnBadEvent::Park => ExceptionState::Parked,
            OnBadEvent::Skip => ExceptionState::Skipped,
        };
        match problem.code() {
            Some(code) if problem.kind() == ErrorKind::Park && self.parking.is_some() => {
                let last = self.last_relayed(event).await?;
                self.record_exception(event, Remembered { state, code, last }, problem.reason());
                Ok(())
            }
            Some(_) | None => Err(problem),
        }
    }

    /// Records what became of an event that does not become a record now. The exception, and the event if it is parked, are
    /// written in the batch's transaction.
    pub(super) fn record_exception(&mut self, event: &RecordedEvent, exception: Remembered, reason: String) {
        if self.parking.is_none() {
            return;
        }
        let (route, lane) = (&self.lane.definition.route.name, self.lane.definition.lane);
        let (state, code) = (exception.state.as_str(), exception.code);
        if code == Code::Blocked {
            tracing::debug!(route, lane, event = event.reference(), state, %code, "event not relayed");
        } else {
            tracing::warn!(route, lane, event = event.reference(), state, %code, error = reason, "event not relayed");
        }
        self.open_batch();
        let Some(parking) = &mut self.parking else { return };
        parking.log.record_exception(&mut self.batch, event, exception, reason);
        if exception.state == ExceptionState::Parked {
            parking.requests.event_parked(&EventReference::of(event));
        }
    }
}
