//! Executing the requests of operators.

use std::ops::ControlFlow;

use aqueduct_core::{ErrorKind, RecordedEvent};
use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use tokio::time::Instant;

use crate::error::LaneError;
use crate::lane::batch::Batch;
use crate::lane::batch_builder::BatchBuilder;
use crate::lane::blocked_event::BlockedEvent;
use crate::lane::context::LaneContext;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::exceptions::{Exceptions, Remembered};
use crate::lane::execute_step::{execute_step, read_event};
use crate::lane::execution::{Execution, Outcome, Stalled};
use crate::lane::halted_request::{HaltedRequest, find_requested_event};
use crate::lane::load::Loaded;
use crate::lane::missing_records::{AfterRound, after_round};
use crate::lane::parked_scan::{ParkedScan, Scanned, ScannedEvent};
use crate::lane::problem::EventProblem;
use crate::lane::request_reader::{Incoming, RequestReader};
use crate::lane::requests::{Input, Requests};
use crate::lane::step::decide_step;
use crate::record::code::Code;
use crate::record::exception::{ExceptionCounts, ExceptionState};
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;
use crate::record::request::{Action, Request, RequestState};
use crate::status::LaneState;

/// Executes a lane's requests. It owns the lane's exceptions, which they change.
pub(crate) struct RequestExecutor<'a> {
    context: &'a LaneContext,
    log: ExceptionLog,
    pub(crate) requests: Requests,
    reader_config: ClientConfig,
}

impl<'a> RequestExecutor<'a> {
    /// Begins to receive requests.
    pub(crate) fn start(context: &'a LaneContext, loaded: Loaded) -> Result<Self, LaneError> {
        let Loaded { topics, exceptions, reader_config } = loaded;
        let (lane, max_bytes) = (context.definition.lane, context.options.max_record_bytes.get());
        let reader = RequestReader::start(reader_config.clone(), &topics.requests, lane)?;
        let log = ExceptionLog { topics, lane, max_bytes, exceptions };
        Ok(Self { context, log, requests: Requests::new(reader), reader_config })
    }

    /// The exceptions of the lane.
    pub(crate) fn exceptions(&self) -> &Exceptions {
        &self.log.exceptions
    }

    /// The state of a lane that waits at no event: a replay may wait.
    pub(crate) fn state(&self) -> LaneState {
        match self.requests.stalled() {
            Some(Stalled { problem, .. }) => LaneState::Retrying { problem: problem.clone() },
            None => LaneState::Running,
        }
    }

    /// Records what became of an event that does not become a record now. The exception, and the event if it is parked, are
    /// written in the batch's transaction.
    pub(crate) fn record_exception(
        &mut self,
        event: &RecordedEvent,
        exception: Remembered,
        reason: String,
        builder: &mut BatchBuilder<'_>,
    ) {
        let (route, lane) = (&self.context.definition.route.name, self.context.definition.lane);
        let (state, code) = (exception.state.as_str(), exception.code);
        if code == Code::Blocked {
            tracing::debug!(route, lane, event = event.reference(), state, %code, "event not relayed");
        } else {
            tracing::warn!(route, lane, event = event.reference(), state, %code, error = reason, "event not relayed");
        }
        builder.open();
        self.log.record_exception(&mut builder.batch, event, exception, reason);
        if exception.state == ExceptionState::Parked {
            self.requests.event_parked(&EventReference::of(event));
        }
    }

    /// Completes a batch with this number: adds the answers to requests, and marks what it contains of exceptions with the
    /// number. Returns how many exceptions there are once it is committed.
    pub(crate) fn complete(&mut self, batch: &mut Batch, number: u64) -> ExceptionCounts {
        self.requests.write(&self.log, batch);
        let counts = self.exceptions().counts();
        batch.parked = Some(counts.parked);
        self.log.number(batch, number);
        counts
    }

    /// Deals with a request, or with what the scan of the current execution found. `blocked` is the event at which the
    /// lane waits.
    pub(crate) async fn handle_input(
        &mut self,
        input: Input,
        blocked: Option<&BlockedEvent>,
        builder: &mut BatchBuilder<'_>,
    ) -> Result<(), LaneError> {
        match input {
            Input::Incoming(Incoming::Request { id, request }) => self.receive(id, request, blocked).await?,
            Input::Incoming(Incoming::Expired { id }) => self.requests.expire(id),
            Input::Incoming(Incoming::Failed(error)) => return Err(error),
            Input::Scanned(execution, scanned) => {
                self.continue_execution(execution, scanned, builder).await?
            }
        }
        self.begin_next()?;
        if self.requests.has_answers() {
            builder.open();
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        id: Bytes,
        request: Request,
        blocked: Option<&BlockedEvent>,
    ) -> Result<(), LaneError> {
        match request.action {
            Action::Replay | Action::Discard => self.requests.enqueue(id, request),
            Action::Park | Action::Skip => {
                match find_requested_event(self.context, &request.selection, blocked).await? {
                    Ok((event, position)) => {
                        self.requests.receive_halted(HaltedRequest { id, request, event, position });
                    }
                    Err(reason) => self.requests.fail(id, &request, reason),
                }
            }
        }
        Ok(())
    }

    /// Begins the next replay or discard, if none is being executed.
    fn begin_next(&mut self) -> Result<(), LaneError> {
        if let Some((id, request)) = self.requests.next() {
            let scan = self.scan(request.answer.as_ref().and_then(|it| it.next_offset))?;
            let execution = Execution::new(id, request, scan, self.exceptions().counts().parked);
            self.requests.execute(Box::new(execution));
        }
        Ok(())
    }

    /// A scan of the lane's parked events, from this offset on or from the first.
    fn scan(&self, from: Option<i64>) -> Result<ParkedScan, LaneError> {
        ParkedScan::start(self.reader_config.clone(), &self.log.topics.parked, self.log.lane, from)
    }

    async fn continue_execution(
        &mut self,
        mut execution: Box<Execution>,
        scanned: Scanned,
        builder: &mut BatchBuilder<'_>,
    ) -> Result<(), LaneError> {
        let next = match scanned {
            Scanned::Event(event) => self.handle_parked(&mut execution, event, builder).await,
            Scanned::End => self.end_round(&mut execution, builder).await?,
            Scanned::Failed(error) => return Err(error),
        };
        match next {
            ControlFlow::Continue(()) => self.requests.execute(execution),
            ControlFlow::Break(state) => self.requests.finish(*execution, state),
        }
        Ok(())
    }

    /// Replays or discards a parked event, if the execution concerns it. `Break` ends the execution in this state.
    async fn handle_parked(
        &mut self,
        execution: &mut Execution,
        scanned: Box<ScannedEvent>,
        builder: &mut BatchBuilder<'_>,
    ) -> ControlFlow<RequestState> {
        self.note_scanned(execution, &scanned);
        let Some(step) = decide_step(execution, self.exceptions(), &scanned) else {
            return ControlFlow::Continue(());
        };
        let store = self.context.store.as_ref();
        let result = execute_step(step, &scanned.parked, store, &mut self.log, builder).await;
        builder.open();
        self.report(execution, scanned, result)
    }

    /// Counts what was scanned, and notes which parked events were met.
    fn note_scanned(&self, execution: &mut Execution, ScannedEvent { parked, offset }: &ScannedEvent) {
        execution.count_scanned();
        let event = EventReference::of(&parked.event);
        let known = self.exceptions().get(&event.stream, event.revision);
        if known.is_some_and(|it| it.state == ExceptionState::Parked) {
            let first = self.exceptions().first_parked(&event.stream);
            let is_first = first.is_some_and(|(first, _)| first == event.revision);
            execution.meet(&event, is_first, offset.is_some());
        }
    }

    /// Reports what became of a parked event in the answer to the request.
    fn report(
        &mut self,
        execution: &mut Execution,
        scanned: Box<ScannedEvent>,
        result: Result<Outcome, EventProblem>,
    ) -> ControlFlow<RequestState> {
        let event = EventReference::of(&scanned.parked.event);
        match result {
            Ok(outcome) => {
                execution.count(&event, outcome);
                execution.advance(scanned.offset);
                self.requests.show_progress(execution);
                ControlFlow::Continue(())
            }
            Err(problem) if problem.kind() == ErrorKind::Retry => {
                self.stall(execution, &event, &problem, Scanned::Event(scanned));
                ControlFlow::Continue(())
            }
            Err(problem) => {
                execution.set_reason(problem_text(&event, &problem));
                ControlFlow::Break(RequestState::Failed)
            }
        }
    }

    /// Waits before the execution continues with what the scan found.
    fn stall(
        &self,
        execution: &mut Execution,
        event: &EventReference,
        problem: &EventProblem,
        scanned: Scanned,
    ) {
        let again = Instant::now() + self.context.options.halt_retry();
        execution.stall(Stalled { scanned, again, problem: problem_text(event, problem) });
    }

    /// A round of the scan has ended. `Break` ends the execution in this state.
    async fn end_round(
        &mut self,
        execution: &mut Execution,
        builder: &mut BatchBuilder<'_>,
    ) -> Result<ControlFlow<RequestState>, LaneError> {
        match after_round(execution, self.exceptions()) {
            AfterRound::NextRound => execution.next_round(self.context.options.batch_records.get() as u64),
            AfterRound::Rescan => execution.rescan(self.scan(None)?, self.exceptions().counts().parked),
            AfterRound::FromStore(event) => return Ok(self.handle_missing(execution, event, builder).await),
            AfterRound::Incomplete { missing } => {
                execution.set_reason(format!(
                    "topic {} lacks the records of {missing} parked events: repeat the request for each of their \
                     streams, their events are then read from the store",
                    self.log.topics.parked
                ));
                return Ok(ControlFlow::Break(RequestState::Failed));
            }
            AfterRound::Done => return Ok(ControlFlow::Break(RequestState::Done)),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Replays or discards the first parked event of the selected stream, which the topic lacks. `Break` ends the
    /// execution in this state.
    async fn handle_missing(
        &mut self,
        execution: &mut Execution,
        event: EventReference,
        builder: &mut BatchBuilder<'_>,
    ) -> ControlFlow<RequestState> {
        execution.read_from_store();
        let reason = match read_event(self.context.store.as_ref(), &event).await {
            Ok(Some(event)) => {
                let parked = ParkedEvent { event, by_reference: false, parked_at: Timestamp::MIN };
                let scanned = Box::new(ScannedEvent { parked, offset: None });
                return self.handle_parked(execution, scanned, builder).await;
            }
            Ok(None) => "neither the topic of parked events nor the store has it".to_owned(),
            Err(problem) if problem.kind() == ErrorKind::Retry => {
                self.stall(execution, &event, &problem, Scanned::End);
                return ControlFlow::Continue(());
            }
            Err(problem) => problem.reason(),
        };
        execution.count(&event, Outcome::ParkedAgain { reason });
        ControlFlow::Break(RequestState::Failed)
    }

    /// Parks or skips the event at which the lane is halted.
    pub(crate) async fn park_or_skip(
        &mut self,
        action: Action,
        event: &RecordedEvent,
        builder: &mut BatchBuilder<'_>,
    ) -> Result<(), EventProblem> {
        let last = builder.last_relayed(event, Some(self.exceptions())).await?;
        let state = match action {
            Action::Skip => ExceptionState::Skipped,
            Action::Park | Action::Replay | Action::Discard => ExceptionState::Parked,
        };
        let exception = Remembered { state, code: Code::Requested, last };
        let reason = format!("{} by an operator while the lane was halted at it", state.as_str());
        self.record_exception(event, exception, reason, builder);
        Ok(())
    }

    /// Answers a request to park or skip an event: it is done, or failed for this reason.
    pub(crate) fn answer_halted(
        &mut self,
        HaltedRequest { id, request, .. }: HaltedRequest,
        result: Result<(), String>,
        builder: &mut BatchBuilder<'_>,
    ) {
        builder.open();
        match result {
            Ok(()) => self.requests.done(id, &request),
            Err(reason) => self.requests.fail(id, &request, reason),
        }
    }
}

fn problem_text(event: &EventReference, problem: &EventProblem) -> String {
    format!("parked event {event}: {}", problem.reason())
}
