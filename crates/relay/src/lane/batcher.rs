//! Groups events into batches, before any byte of a batch is sent.

use std::collections::VecDeque;
use std::time::Duration;

use aqueduct_core::{ErrorKind, Position, RecordedEvent};
use tokio::time::Instant;

use crate::error::LaneError;
use crate::lane::batch::Batch;
use crate::lane::batch_builder::BatchBuilder;
use crate::lane::blocked_event::BlockedEvent;
use crate::lane::context::LaneContext;
use crate::lane::exceptions::Remembered;
use crate::lane::problem::{EventError, EventProblem};
use crate::lane::request_executor::RequestExecutor;
use crate::lane::requests::Input;
use crate::record::checkpoint::Checkpoint;
use crate::record::code::Code;
use crate::record::exception::{ExceptionCounts, ExceptionState, LastRelayed};
use crate::route::OnBadEvent;
use crate::status::LaneState;

/// How long a batch that is not full waits while stored events are still to be read: a transaction costs about as much as
/// a thousand records. With four lanes of three routes on two cores, transactions of what had arrived had 80 records each.
/// The first batch of a session does not wait: the next one fills during its transaction.
const FILL: Duration = Duration::from_millis(250);

/// Decides what becomes of the events of the store and the requests of operators, and when a batch is full or due.
pub(crate) struct Batcher<'a> {
    context: &'a LaneContext,
    builder: BatchBuilder<'a>,
    /// Number of the last batch handed on.
    number: u64,
    /// Position of the last event that was dealt with, or passed.
    received: Option<Position>,
    /// Stored events are still to be read.
    behind: bool,
    /// Position of the last checkpoint handed on, and when that was.
    sealed: Option<Position>,
    sealed_at: Instant,
    /// Whether this session has handed on a batch.
    has_sealed: bool,
    blocked: Option<BlockedEvent>,
    /// `None` where the route's topics for exceptions and requests were not created.
    executor: Option<RequestExecutor<'a>>,
}

impl<'a> Batcher<'a> {
    /// Continues after the checkpoint.
    pub(crate) fn new(
        context: &'a LaneContext,
        checkpoint: Option<Checkpoint>,
        executor: Option<RequestExecutor<'a>>,
    ) -> Self {
        let received = checkpoint.as_ref().map(|it| it.position);
        Self {
            context,
            number: checkpoint.as_ref().map_or(0, |it| it.batch),
            builder: BatchBuilder::new(context, checkpoint),
            received,
            behind: true,
            sealed: received,
            sealed_at: Instant::now(),
            has_sealed: false,
            blocked: None,
            executor,
        }
    }

    /// Position of the last event that was dealt with, or passed.
    pub(crate) fn received(&self) -> Option<Position> {
        self.received
    }

    /// Whether the batch has begun: it contains more than a checkpoint.
    pub(crate) fn is_open(&self) -> bool {
        self.builder.batch.opened.is_some()
    }

    pub(crate) fn is_full(&self) -> bool {
        let (options, batch) = (&self.context.options, &self.builder.batch);
        batch.records.len() >= options.batch_records.get() || batch.bytes >= options.batch_bytes.get()
    }

    /// When the batch must be sealed, if there is anything to write.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let options = &self.context.options;
        if let Some((opened, _)) = &self.builder.batch.opened {
            // Nothing is added to it while the lane is blocked.
            let wait = match &self.blocked {
                Some(_) => Duration::ZERO,
                None if self.behind && self.has_sealed => options.linger().max(FILL),
                None => options.linger(),
            };
            Some(*opened + wait)
        } else if self.received > self.sealed {
            Some(self.sealed_at + options.idle_checkpoint())
        } else {
            None
        }
    }

    /// When to try again with the event at which the lane waits, if it waits.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.blocked.as_ref().map(|blocked| blocked.retry_at)
    }

    /// Whether the lane waits for an operator, at an event.
    pub(crate) fn is_halted(&self) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| blocked.is_halted)
    }

    /// Whether stored events are still to be read: a batch then waits to be filled.
    pub(crate) fn set_behind(&mut self, behind: bool) {
        self.behind = behind;
    }

    /// Whether a request lets an event of the store be taken now.
    pub(crate) fn takes_events(&self) -> bool {
        self.executor.as_ref().is_none_or(|it| it.requests.takes_events())
    }

    /// Whether everything taken so far must be committed before a request can be finished.
    pub(crate) fn is_committing(&self) -> bool {
        self.executor.as_ref().is_some_and(|it| it.requests.is_committing())
    }

    /// Everything that was taken is committed.
    pub(crate) fn committed(&mut self) {
        self.executor.iter_mut().for_each(|it| it.requests.committed());
    }

    /// What a lane with requests must deal with; never completes for any other lane. With `scan`, also what the scan of the
    /// current execution finds.
    pub(crate) async fn input(&mut self, scan: bool) -> Input {
        match &mut self.executor {
            Some(executor) => executor.requests.input(scan).await,
            None => std::future::pending().await,
        }
    }

    /// Deals with a request, or with what the scan of the current execution found.
    #[expect(clippy::expect_used, reason = "an input comes from the executor")]
    pub(crate) async fn handle_input(&mut self, input: Input) -> Result<(), LaneError> {
        let Self { builder, blocked, executor, .. } = self;
        let executor = executor.as_mut().expect("an executor");
        executor.handle_input(input, blocked.as_ref(), builder).await?;
        if self.blocked.is_none() {
            self.report_unblocked();
        }
        Ok(())
    }

    /// All events of the lane up to this position were dealt with.
    pub(crate) fn pass(&mut self, place: Position) {
        self.received = self.received.max(Some(place));
    }

    /// Begins to look up what the next event and the upcoming ones after it will need.
    pub(crate) fn look_ahead(&mut self, event: &RecordedEvent, upcoming: &VecDeque<RecordedEvent>) {
        let exceptions = self.executor.as_ref().map(RequestExecutor::exceptions);
        self.builder.look_ahead(event, upcoming, exceptions);
    }

    /// Drops what was looked up ahead: the upcoming events will come again.
    pub(crate) fn drop_read_ahead(&mut self) {
        self.builder.drop_read_ahead();
    }

    /// Deals with the next event of the lane.
    pub(crate) async fn handle_event(&mut self, event: RecordedEvent) -> Result<(), LaneError> {
        if let Some(from) = self.received
            && event.position <= from
        {
            return Err(LaneError::Disorder { from, to: event.position, reference: event.reference() });
        }
        self.executor.iter_mut().for_each(|it| it.requests.event_taken());
        debug_assert!(self.builder.is_ours(&event), "{} is another lane's", event.reference());
        self.relay_or_block(event, Duration::ZERO).await;
        Ok(())
    }

    /// Tries again with the event at which the lane waits.
    pub(crate) async fn retry(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            self.relay_or_block(blocked.event, blocked.pause).await;
        }
    }

    async fn relay_or_block(&mut self, event: RecordedEvent, pause: Duration) {
        match self.relay_or_record_exception(&event).await {
            Ok(()) => {
                self.received = Some(event.position);
                if pause > Duration::ZERO {
                    self.report_unblocked();
                }
            }
            Err(problem) => self.block(event, problem, pause),
        }
    }

    /// Makes a record of an event of the lane, or an exception where its stream is blocked or the route's policy says
    /// so for a bad event. An error leaves everything as it is.
    async fn relay_or_record_exception(&mut self, event: &RecordedEvent) -> Result<(), EventProblem> {
        let Self { context, builder, executor, .. } = self;
        let Some(executor) = executor else { return builder.add_record(event, None).await };
        if executor.exceptions().is_blocked(&event.stream) {
            let (state, code) = (ExceptionState::Parked, Code::Blocked);
            // What comes before it is not final.
            let exception = Remembered { state, code, last: LastRelayed::Unknown };
            let reason = "an earlier event of its stream is parked".to_owned();
            executor.record_exception(event, exception, reason, builder);
            return Ok(());
        }
        let problem = match builder.add_record(event, Some(executor.exceptions())).await {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        let state = match context.options.on_bad_event(&context.definition.route) {
            OnBadEvent::Halt => return Err(problem),
            OnBadEvent::Park => ExceptionState::Parked,
            OnBadEvent::Skip => ExceptionState::Skipped,
        };
        match problem.code() {
            Some(code) if problem.kind() == ErrorKind::Park => {
                let last = builder.last_relayed(event, Some(executor.exceptions())).await?;
                executor.record_exception(event, Remembered { state, code, last }, problem.reason(), builder);
                Ok(())
            }
            Some(_) | None => Err(problem),
        }
    }

    /// Waits at an event. What was prepared before it is written.
    fn block(&mut self, event: RecordedEvent, problem: EventProblem, pause: Duration) {
        let LaneContext { options, definition, reporter, .. } = self.context;
        reporter.metrics.error(problem.label());
        let is_transient = problem.kind() == ErrorKind::Retry;
        let (route, lane) = (&definition.route.name, definition.lane);
        let can_park = self.executor.is_some();
        let problem =
            EventError::new(route, event.reference(), &event.event_type, &problem, can_park).to_string();
        let pause = if is_transient {
            tracing::warn!(route, lane, error = problem, "lane blocked by an event, retrying");
            reporter.set(LaneState::Retrying { problem });
            (pause * 2).clamp(options.retry(), options.halt_retry())
        } else {
            tracing::error!(route, lane, error = problem, "lane halted by an event");
            reporter.set(LaneState::Halted { problem });
            options.halt_retry()
        };
        let retry_at = Instant::now() + pause;
        self.blocked = Some(BlockedEvent { event, is_halted: !is_transient, pause, retry_at });
    }

    /// Reports the state of a lane that waits at no event.
    fn report_unblocked(&self) {
        let state = self.executor.as_ref().map_or(LaneState::Running, RequestExecutor::state);
        self.context.reporter.set(state);
    }

    /// Parks or skips the event at which the lane is halted, where an operator asked for it. Answers requests for
    /// events that the lane has passed.
    pub(crate) async fn resolve_halted_requests(&mut self) {
        let Self { context, builder, received, blocked, executor, .. } = self;
        let Some(executor) = executor.as_mut().filter(|it| it.requests.has_halted()) else { return };
        for halted in executor.requests.take_halted() {
            let Some(BlockedEvent { event, .. }) =
                blocked.as_ref().filter(|it| it.is_halted_at(&halted.event))
            else {
                if *received >= Some(halted.position) {
                    let reason = halted.passed_reason();
                    executor.answer_halted(halted, Err(reason), builder);
                } else {
                    executor.requests.await_halt(halted);
                }
                continue;
            };
            match executor.park_or_skip(halted.request.action, event, builder).await {
                Ok(()) => {
                    (*received, *blocked) = (Some(event.position), None);
                    context.reporter.set(executor.state());
                    executor.answer_halted(halted, Ok(()), builder);
                }
                // The lane tries the event again, at the latest after the pause between two attempts: so does this.
                Err(problem) if problem.kind() == ErrorKind::Retry => executor.requests.await_halt(halted),
                Err(problem) => executor.answer_halted(halted, Err(problem.reason()), builder),
            }
        }
    }

    /// The batch, complete with its checkpoint.
    pub(crate) fn seal(&mut self) -> Batch {
        let mut batch = self.builder.take();
        self.number += 1;
        let counts = match &mut self.executor {
            Some(executor) => executor.complete(&mut batch, self.number),
            None => ExceptionCounts::default(),
        };
        if let Some(position) = self.received {
            let checkpoint = self.builder.checkpoint_at(position).with_batch(self.number, counts);
            batch.records.push(self.context.definition.checkpoint_record(checkpoint));
        }
        batch.position = self.received;
        self.sealed = self.received;
        self.has_sealed = true;
        self.sealed_at = Instant::now();
        batch
    }
}
