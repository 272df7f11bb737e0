//! Executing the requests of operators.

use aqueduct_core::{ErrorKind, RecordedEvent, with_causes};
use bytes::Bytes;
use tokio::time::Instant;

use crate::error::LaneError;
use crate::lane::batcher::Batcher;
use crate::lane::exceptions::{Exceptions, Remembered};
use crate::lane::parked_scan::{Scanned, ScannedEvent};
use crate::lane::problem::EventProblem;
use crate::lane::request_reader::Incoming;
use crate::lane::requests::{HaltedRequest, Input, Stalled};
use crate::record::code::Code;
use crate::record::exception::{ExceptionState, LastRelayed};
use crate::record::parked::ParkedEvent;
use crate::record::partition::partition_of;
use crate::record::reference::EventReference;
use crate::record::request::{Action, Answer, Request, RequestState, Selection};

/// What to do with a parked event.
enum Step {
    Replay,
    Discard {
        /// No earlier event of its stream is parked.
        is_first: bool,
    },
}

impl Batcher<'_> {
    /// Deals with a request, or with what the scan of the request in work found.
    pub(super) async fn handle(&mut self, input: Input) -> Result<(), LaneError> {
        match input {
            Input::Incoming(Incoming::Request { id, request }) => self.receive(id, request).await?,
            Input::Incoming(Incoming::Expired { id }) => {
                self.parking.iter_mut().for_each(|it| it.requests.expire(id.clone()));
            }
            Input::Scanned(Scanned::Event(event)) => self.step(event).await,
            Input::Scanned(Scanned::End) => self.round_ended().await?,
            Input::Incoming(Incoming::Failed(error)) | Input::Scanned(Scanned::Failed(error)) => {
                return Err(error);
            }
        }
        let Some(parking) = &mut self.parking else { return Ok(()) };
        parking.begin_next()?;
        if parking.requests.has_answers() {
            self.open_batch();
        }
        Ok(())
    }

    async fn receive(&mut self, id: Bytes, request: Request) -> Result<(), LaneError> {
        let event = match request.action {
            Action::Replay | Action::Discard => None,
            Action::Park | Action::Skip => Some(self.find_requested_event(&request.selection).await?),
        };
        let Some(parking) = &mut self.parking else { return Ok(()) };
        match event {
            None => parking.requests.enqueue(id, request),
            Some(Err(reason)) => parking.requests.fail(id, &request, reason),
            Some(Ok(event)) => {
                parking.requests.answer(id.clone(), &request, Answer::running());
                let position = event.position;
                let event = EventReference::of(&event);
                parking.requests.halted_requests.push(HaltedRequest { id, request, event, position });
            }
        }
        Ok(())
    }

    /// The event that an operator wants to be parked or skipped, or why there is none.
    async fn find_requested_event(
        &self,
        selection: &Selection,
    ) -> Result<Result<RecordedEvent, String>, LaneError> {
        let Selection { stream: Some(stream), revision: Some(revision), .. } = selection else {
            return Ok(Err("a request to park or skip names one event: stream and revision".to_owned()));
        };
        let (stream, definition) = (stream.as_str().into(), self.lane.definition);
        // The store may have lost the event in the meantime, or refuse to read its stream.
        if let Some(blocked) = &self.blocked
            && blocked.event.stream == stream
            && blocked.event.revision == *revision
        {
            return Ok(Ok(blocked.event.clone()));
        }
        let found = match self.lane.store.read_stream(&stream, *revision, 1).await {
            Err(error) if error.kind == ErrorKind::Retry => return Err(error.into()),
            // An answer: the lane would meet the same request and the same refusal in every session.
            Err(error) => return Ok(Err(with_causes(&error))),
            Ok(found) => found,
        };
        let found = found.into_iter().find(|event| event.revision == *revision);
        Ok(match found {
            None => Err(format!("the store has no event {revision}@{stream}")),
            Some(_) if partition_of(stream.as_str(), definition.lanes) != definition.lane => {
                Err(format!("{stream} does not belong to lane {}", definition.lane))
            }
            Some(event) => Ok(event),
        })
    }

    /// Parks or skips the event at which the lane is halted, where an operator asked for it. Answers requests for
    /// events that the lane has passed.
    pub(super) async fn resolve_halted_requests(&mut self) {
        let Some(parking) = self.parking.as_mut().filter(|it| !it.requests.halted_requests.is_empty()) else {
            return;
        };
        let requests = std::mem::take(&mut parking.requests.halted_requests);
        let mut waiting = Vec::new();
        for request in requests {
            let is_halted_here = self.blocked.as_ref().is_some_and(|it| it.is_halted_at(&request.event));
            let is_passed = self.received >= Some(request.position);
            if is_halted_here {
                match self.park_or_skip_halted(&request).await {
                    Ok(()) => self.answer_halted_request(request, Ok(())),
                    // The lane tries the event again, at the latest after the pause between two attempts: so does this.
                    Err(problem) if problem.kind() == ErrorKind::Retry => waiting.push(request),
                    Err(problem) => self.answer_halted_request(request, Err(problem.reason())),
                }
            } else if is_passed {
                let problem = format!(
                    "the lane has passed {}: it is relayed, an exception (see `aqueduct parked show`), or not the route's",
                    request.event
                );
                self.answer_halted_request(request, Err(problem));
            } else {
                waiting.push(request);
            }
        }
        if let Some(parking) = &mut self.parking {
            parking.requests.halted_requests.extend(waiting);
        }
    }

    async fn park_or_skip_halted(&mut self, requested: &HaltedRequest) -> Result<(), EventProblem> {
        let Some(blocked) = self.blocked.take() else { return Ok(()) };
        let last = match self.last_relayed(&blocked.event).await {
            Ok(last) => last,
            Err(error) => {
                self.blocked = Some(blocked);
                return Err(error.into());
            }
        };
        let state = match requested.request.action {
            Action::Skip => ExceptionState::Skipped,
            Action::Park | Action::Replay | Action::Discard => ExceptionState::Parked,
        };
        let exception = Remembered { state, code: Code::Requested, last };
        let text = format!("{} by an operator while the lane was halted at it", state.as_str());
        self.record_exception(&blocked.event, exception, text);
        self.received = Some(blocked.event.position);
        self.report_unblocked();
        Ok(())
    }

    fn answer_halted_request(&mut self, halted: HaltedRequest, result: Result<(), String>) {
        self.open_batch();
        let Some(parking) = &mut self.parking else { return };
        match result {
            Ok(()) => {
                let answer = Answer { state: RequestState::Done, ..Answer::running() };
                parking.requests.answer(halted.id, &halted.request, answer);
            }
            Err(reason) => parking.requests.fail(halted.id, &halted.request, reason),
        }
    }

    /// Replays or discards a parked event, if the request in work concerns it.
    pub(super) async fn step(&mut self, scanned: Box<ScannedEvent>) {
        let Some(parking) = &mut self.parking else { return };
        let Some(execution) = &mut parking.requests.running else { return };
        execution.count_scanned();
        let ScannedEvent { parked, offset } = &*scanned;
        let reference = EventReference::of(&parked.event);
        let exceptions = &parking.log.exceptions;
        let known = exceptions.get(&reference.stream, reference.revision);
        if known.is_some_and(|it| it.state == ExceptionState::Parked) {
            let first = exceptions.first_parked(&reference.stream);
            let is_first = first.is_some_and(|(first, _)| first == reference.revision);
            execution.meet(&reference, is_first, offset.is_some());
        }
        let step = if execution.is_rescan() && offset.is_some() {
            is_cut_off(exceptions, &reference).then_some(Step::Replay)
        } else {
            step(&execution.request, exceptions, &reference, parked)
        };
        let Some(step) = step else { return };
        let result = match step {
            Step::Replay => self.replay(parked).await,
            Step::Discard { is_first } => self.discard(parked, &reference, is_first).await,
        };
        self.open_batch();
        let is_stalled = matches!(&result, Err(problem) if problem.kind() == ErrorKind::Retry);
        if !is_stalled && self.blocked.is_none() {
            self.report_unblocked();
        }
        let Some(parking) = &mut self.parking else { return };
        match result {
            Ok(()) => parking.requests.show_progress(*offset),
            Err(problem) if problem.kind() == ErrorKind::Retry => {
                self.stall(&reference, &problem, Scanned::Event(scanned));
            }
            Err(problem) => {
                if let Some(execution) = &mut parking.requests.running {
                    execution.answer.set_reason(problem_text(&reference, &problem));
                }
                parking.requests.finish(RequestState::Failed);
            }
        }
    }

    /// Waits before the execution continues with what the scan found.
    pub(super) fn stall(&mut self, event: &EventReference, problem: &EventProblem, scanned: Scanned) {
        let problem = problem_text(event, problem);
        let again = Instant::now() + self.lane.options.halt_retry();
        if let Some(execution) = self.parking.as_mut().and_then(|it| it.requests.running.as_mut()) {
            execution.stall(Stalled { scanned, again, problem });
        }
        if self.blocked.is_none() {
            self.report_unblocked();
        }
    }

    /// Makes a record of a parked event, or leaves it parked with the reason why it failed again.
    async fn replay(&mut self, parked: &ParkedEvent) -> Result<(), EventProblem> {
        let reference = EventReference::of(&parked.event);
        let from_store;
        let event = if parked.by_reference {
            match self.read(&reference).await? {
                Some(event) => {
                    from_store = event;
                    &from_store
                }
                None => {
                    self.failed_again(&reference, EventProblem::Gone.reason());
                    return Ok(());
                }
            }
        } else {
            &parked.event
        };
        let made = self.make_record(event).await;
        let last = match &made {
            Err(problem) if problem.kind() == ErrorKind::Park => self.last_relayed(event).await?,
            Ok(()) | Err(_) => LastRelayed::Unknown,
        };
        let Some(parking) = &mut self.parking else { return Ok(()) };
        match made {
            Ok(()) => {
                parking.log.replayed(&mut self.batch, &reference);
                if let Some(execution) = &mut parking.requests.running {
                    execution.answer.replayed += 1;
                }
                Ok(())
            }
            Err(problem) => match problem.code() {
                Some(code) => {
                    let reason = problem.reason();
                    let text = format!("{code}: {reason}");
                    parking.log.failed_again(&mut self.batch, event, (code, reason), last);
                    self.failed_again(&reference, text);
                    Ok(())
                }
                None => Err(problem),
            },
        }
    }

    /// Reads an event from the store; `None` where the store no longer has it.
    pub(super) async fn read(&self, event: &EventReference) -> Result<Option<RecordedEvent>, EventProblem> {
        match self.lane.store.read_stream(&event.stream, event.revision, 1).await {
            Ok(found) => Ok(found.into_iter().find(|it| it.revision == event.revision)),
            Err(error) if error.is_stream_deleted() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Counts an event that stays parked. The request continues with other streams.
    pub(super) fn failed_again(&mut self, event: &EventReference, reason: String) {
        if let Some(execution) = self.parking.as_mut().and_then(|it| it.requests.running.as_mut()) {
            execution.answer.parked_again += 1;
            execution.answer.set_reason(format!("{event}: {reason}"));
        }
    }

    async fn discard(
        &mut self,
        parked: &ParkedEvent,
        reference: &EventReference,
        is_first: bool,
    ) -> Result<(), EventProblem> {
        let last = if is_first { self.last_relayed(&parked.event).await? } else { LastRelayed::Unknown };
        let Some(parking) = &mut self.parking else { return Ok(()) };
        let code = parking.log.exceptions.get(&reference.stream, reference.revision).map(|it| it.code);
        let code = code.unwrap_or(Code::Requested);
        let event = (reference, parked.event.position);
        parking.log.discard(
            &mut self.batch,
            event,
            format!("discarded by an operator; was parked for {code}"),
            last,
        );
        if let Some(execution) = &mut parking.requests.running {
            execution.answer.discarded += 1;
        }
        Ok(())
    }
}

fn problem_text(reference: &EventReference, problem: &EventProblem) -> String {
    format!("parked event {reference}: {}", problem.reason())
}

/// Whether the event is the first parked one of its stream, and its code is `blocked`. Then what was before it has been
/// replayed or discarded, so it is next, whichever request is executed: the one that began it may have been cut off.
fn is_cut_off(exceptions: &Exceptions, event: &EventReference) -> bool {
    let first = exceptions.first_parked(&event.stream);
    first.is_some_and(|(first, it)| first == event.revision && it.code == Code::Blocked)
}

/// What a request asks to do with a parked event now. Only the first parked event of a stream can be replayed.
fn step(
    request: &Request,
    exceptions: &Exceptions,
    event: &EventReference,
    parked: &ParkedEvent,
) -> Option<Step> {
    let Remembered { state, code, .. } = exceptions.get(&event.stream, event.revision)?;
    if state != ExceptionState::Parked {
        return None;
    }
    let (first, _) = exceptions.first_parked(&event.stream)?;
    let is_first = first == event.revision;
    let selection = &request.selection;
    let selects = |event: &EventReference, code| selection.matches(event, code, parked.parked_at);
    // Whoever asked for a discard has not seen what was parked later.
    let is_seen = parked.parked_at <= request.requested_at;
    match request.action {
        Action::Discard if is_seen && selects(event, code) => Some(Step::Discard { is_first }),
        _ if is_cut_off(exceptions, event) => Some(Step::Replay),
        // A stream is selected by any of its parked events. Those behind the first have the code `blocked` and were
        // parked later, so only one that is named by its revision needs another look.
        Action::Replay if is_first => {
            let named = selection.revision.and_then(|it| Some((it, exceptions.get(&event.stream, it)?)));
            let selected = match named {
                Some((revision, it)) if it.state == ExceptionState::Parked => {
                    selects(&EventReference { stream: event.stream.clone(), revision }, it.code)
                }
                Some(_) => false,
                None => selects(event, code),
            };
            selected.then_some(Step::Replay)
        }
        Action::Replay | Action::Discard | Action::Park | Action::Skip => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the parked events 3 to 6 of a stream, of which 3 is discarded, a request deals with, if only these
    /// are parked.
    fn steps(
        action: Action,
        selection: serde_json::Value,
        codes: &[(u64, Code)],
    ) -> Vec<(u64, &'static str)> {
        steps_at("2026-01-02T03:04:05Z", action, selection, codes)
    }

    /// The same for a request of this time; event n was parked in second n of the first of January.
    fn steps_at(
        requested_at: &str,
        action: Action,
        selection: serde_json::Value,
        codes: &[(u64, Code)],
    ) -> Vec<(u64, &'static str)> {
        let selection = serde_json::from_value(selection).unwrap();
        let request = Request::new(action, selection, requested_at.parse().unwrap());
        let mut exceptions = Exceptions::default();
        let reference = |revision| EventReference { stream: "a-1".into(), revision };
        let mut insert = |revision, state, code| {
            let last = LastRelayed::Unknown;
            exceptions.insert(&reference(revision), Remembered { state, code, last });
        };
        insert(2, ExceptionState::Discarded, Code::Requested);
        for (revision, code) in codes {
            insert(*revision, ExceptionState::Parked, *code);
        }
        let step = |revision| {
            let event = reference(revision);
            let parked_at = format!("2026-01-01T00:00:0{revision}Z").parse().unwrap();
            let parked = ParkedEvent::at(event.clone(), parked_at);
            match step(&request, &exceptions, &event, &parked)? {
                Step::Replay => Some((revision, "replay")),
                Step::Discard { is_first: true } => Some((revision, "discard first")),
                Step::Discard { is_first: false } => Some((revision, "discard")),
            }
        };
        (2..7).filter_map(step).collect()
    }

    #[test]
    fn a_replay_begins_with_the_first_parked_event_of_the_selected_streams() {
        let codes = [(3, Code::Payload), (4, Code::Blocked), (5, Code::Blocked)];
        let replay = |selection| steps(Action::Replay, selection, &codes);
        let first = vec![(3, "replay")];
        for selection in [
            serde_json::json!({}),
            serde_json::json!({"stream": "a-1"}),
            serde_json::json!({"code": "payload"}),
            serde_json::json!({"revision": 5}),
            serde_json::json!({"older_than": "2026-01-01T00:00:03Z"}),
        ] {
            assert_eq!(replay(selection.clone()), first, "{selection}");
        }
        for selection in [
            serde_json::json!({"stream": "a-2"}),
            serde_json::json!({"code": "metadata"}),
            serde_json::json!({"revision": 2}),
            serde_json::json!({"revision": 6}),
            serde_json::json!({"older_than": "2026-01-01T00:00:02Z"}),
        ] {
            assert_eq!(replay(selection.clone()), [], "{selection}");
        }
    }

    #[test]
    fn a_replay_that_was_cut_off_is_continued() {
        let codes = [(4, Code::Blocked), (5, Code::Blocked)];
        let other = serde_json::json!({"stream": "a-2"});
        assert_eq!(steps(Action::Replay, other.clone(), &codes), [(4, "replay")]);
        assert_eq!(steps(Action::Discard, other, &codes), [(4, "replay")]);
    }

    #[test]
    fn a_discard_takes_exactly_the_selected_events() {
        let codes = [(3, Code::Payload), (4, Code::Blocked), (5, Code::Blocked)];
        let discard = |selection| steps(Action::Discard, selection, &codes);
        assert_eq!(discard(serde_json::json!({"revision": 3})), [(3, "discard first")]);
        assert_eq!(discard(serde_json::json!({"revision": 4})), [(4, "discard")]);
        assert_eq!(discard(serde_json::json!({})), [(3, "discard first"), (4, "discard"), (5, "discard")]);
    }

    #[test]
    fn a_discard_leaves_what_was_parked_after_it_was_requested() {
        let codes = [(3, Code::Payload), (4, Code::Blocked), (5, Code::Payload)];
        let at = "2026-01-01T00:00:03Z";
        let steps = steps_at(at, Action::Discard, serde_json::json!({"stream": "a-1"}), &codes);
        assert_eq!(steps, [(3, "discard first")]);
        let cut_off = steps_at(at, Action::Discard, serde_json::json!({}), &[(4, Code::Blocked)]);
        assert_eq!(cut_off, [(4, "replay")]);
    }
}
