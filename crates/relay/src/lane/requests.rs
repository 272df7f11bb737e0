//! The requests of operators that a lane works on.

use std::collections::{BTreeMap, VecDeque};

use aqueduct_core::Position;
use bytes::Bytes;
use tokio::time::Instant;

use crate::error::LaneError;
use crate::lane::batch::Batch;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::parked_scan::{ParkedScan, Scanned};
use crate::lane::request_reader::{Incoming, RequestReader};
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;
use crate::record::request::{Outcome, Progress, Request};

/// Parked events that are dealt with for each event of the store, while a request is executed: a replay catches
/// up with its own stream whatever arrives, and the other streams do not stop.
const SCANNED_PER_EVENT: u64 = 3;

/// A lane's requests.
pub(crate) struct Requests {
    pub(crate) reader: RequestReader,
    /// Replays and discards in the order of their arrival. The first is executed.
    queue: VecDeque<(Bytes, Request)>,
    pub(crate) running: Option<Execution>,
    /// Requests to pass one event of a halted lane.
    pub(crate) passes: Vec<Pass>,
    /// Answers that the next batch must carry.
    answers: BTreeMap<Bytes, Request>,
    /// Finished requests that the next batch removes.
    expired: Vec<Bytes>,
}

/// What a lane with requests must deal with.
pub(crate) enum Input {
    Incoming(Incoming),
    Scanned(Scanned),
}

/// A request to park or skip the event at which the lane is halted.
pub(crate) struct Pass {
    pub(crate) id: Bytes,
    pub(crate) request: Request,
    pub(crate) event: EventReference,
    pub(crate) position: Position,
}

/// A replay or discard that is being executed.
pub(crate) struct Execution {
    pub(crate) id: Bytes,
    pub(crate) request: Request,
    pub(crate) outcome: Outcome,
    pub(crate) scan: ParkedScan,
    /// A parked event that could not be dealt with yet, and when to try again.
    pub(crate) stalled: Option<(Box<ParkedEvent>, Instant)>,
    phase: Phase,
    scanned: u64,
    taken: u64,
    /// Events that were parked since the scan's pass began: another pass must find them.
    parked: u64,
}

/// How an execution comes to its end although further events of its streams may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Events of the store are taken meanwhile.
    Interleaved,
    /// None are taken any more; those taken before are being committed.
    Committing,
    /// None are taken; the last pass finds what was parked before it.
    Draining,
}

impl Requests {
    pub(crate) fn new(reader: RequestReader) -> Self {
        Self {
            reader,
            queue: VecDeque::new(),
            running: None,
            passes: Vec::new(),
            answers: BTreeMap::new(),
            expired: Vec::new(),
        }
    }

    /// Queues a replay or discard, and tells its sender that it was seen.
    pub(crate) fn enqueue(&mut self, id: Bytes, request: Request) {
        let outcome = request.outcome.clone().unwrap_or_else(Outcome::running);
        self.answer(id.clone(), &request, outcome);
        self.queue.push_back((id, request));
    }

    pub(crate) fn expire(&mut self, id: Bytes) {
        self.expired.push(id);
    }

    /// The next replay or discard to execute, if none is being executed.
    pub(crate) fn next(&mut self) -> Option<(Bytes, Request)> {
        if self.running.is_some() { None } else { self.queue.pop_front() }
    }

    pub(crate) fn answer(&mut self, id: Bytes, request: &Request, outcome: Outcome) {
        self.answers.insert(id, request.answered(outcome));
    }

    pub(crate) fn fail(&mut self, id: Bytes, request: &Request, reason: String) {
        let mut outcome = request.outcome.clone().unwrap_or_else(Outcome::running);
        outcome.state = Progress::Failed;
        outcome.set_reason(reason);
        self.answer(id, request, outcome);
    }

    /// Ends the execution; its scan ends with it.
    pub(crate) fn finish(&mut self, state: Progress) {
        if let Some(Execution { id, request, mut outcome, .. }) = self.running.take() {
            outcome.state = state;
            self.answer(id, &request, outcome);
        }
    }

    /// Shows how far the execution is.
    pub(crate) fn show_progress(&mut self) {
        if let Some(Execution { id, request, outcome, .. }) = &self.running {
            let (id, request, outcome) = (id.clone(), request.clone(), outcome.clone());
            self.answer(id, &request, outcome);
        }
    }

    /// Whether a batch must be written for what operators wait for.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty() || !self.expired.is_empty()
    }

    /// Adds the answers to the batch.
    pub(crate) fn write(&mut self, log: &ExceptionLog, batch: &mut Batch) {
        for (id, request) in std::mem::take(&mut self.answers) {
            batch.push(request.record(&log.topics.requests, log.lane, &id));
        }
        for id in std::mem::take(&mut self.expired) {
            log.forget_request(batch, id);
        }
    }

    /// Whether an event of the store may be taken now.
    pub(crate) fn takes_events(&self) -> bool {
        self.running.as_ref().is_none_or(Execution::takes_events)
    }

    /// What comes next: a request, or with `scan` what the execution's scan finds.
    pub(crate) async fn input(&mut self, scan: bool) -> Input {
        let Self { reader, running, .. } = self;
        let ended = || LaneError::ThreadEnded;
        tokio::select! {
            incoming = reader.incoming.recv() => {
                Input::Incoming(incoming.unwrap_or_else(|| Incoming::Failed(ended())))
            }
            scanned = scanned(running), if scan => {
                Input::Scanned(scanned.unwrap_or_else(|| Scanned::Failed(ended())))
            }
        }
    }

    /// An event of the store was taken; `parked` if it was parked.
    pub(crate) fn took(&mut self, parked: bool) {
        if let Some(execution) = &mut self.running {
            execution.taken += 1;
            execution.parked += u64::from(parked);
        }
    }

    /// Whether everything that was taken must be committed before the execution continues.
    pub(crate) fn is_committing(&self) -> bool {
        self.running.as_ref().is_some_and(|it| it.phase == Phase::Committing)
    }

    /// Everything that was taken is committed.
    pub(crate) fn committed(&mut self) {
        if let Some(execution) = self.running.as_mut().filter(|it| it.phase == Phase::Committing) {
            execution.phase = Phase::Draining;
            execution.scan.again();
        }
    }

    /// A pass has ended.
    pub(crate) fn pass_ended(&mut self, few: u64) {
        let Some(execution) = &mut self.running else { return };
        if execution.phase == Phase::Draining {
            self.finish(Progress::Done);
        } else if execution.parked <= few {
            execution.phase = Phase::Committing;
        } else {
            execution.parked = 0;
            execution.scan.again();
        }
    }
}

/// The next parked event of the execution, or the end of a pass; `None` if the scan broke down. Never completes where
/// there is nothing to wait for.
async fn scanned(running: &mut Option<Execution>) -> Option<Scanned> {
    let Some(execution) = running else { return std::future::pending().await };
    if let Some((_, again)) = &execution.stalled {
        tokio::time::sleep_until(*again).await;
        return execution.stalled.take().map(|(event, _)| Scanned::Event(event));
    }
    match execution.phase {
        Phase::Committing => std::future::pending().await,
        Phase::Interleaved | Phase::Draining => execution.scan.found.recv().await,
    }
}

impl Execution {
    pub(crate) fn new(id: Bytes, request: Request, scan: ParkedScan) -> Self {
        let outcome = request.outcome.clone().unwrap_or_else(Outcome::running);
        let phase = Phase::Interleaved;
        Self { id, request, outcome, scan, stalled: None, phase, scanned: 0, taken: 0, parked: 0 }
    }

    pub(crate) fn count_scanned(&mut self) {
        self.scanned += 1;
    }

    fn takes_events(&self) -> bool {
        self.phase == Phase::Interleaved
            && self.stalled.is_none()
            && self.taken * SCANNED_PER_EVENT <= self.scanned
    }
}
