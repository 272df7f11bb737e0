//! The requests of operators that a lane works on.

use std::collections::{BTreeMap, VecDeque};

use aqueduct_core::{Position, Revision};
use bytes::Bytes;
use tokio::time::Instant;

use crate::lane::batch::Batch;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::parked_scan::{ParkedScan, Scanned, ScannedEvent};
use crate::lane::request_reader::{Incoming, RequestReader};
use crate::record::reference::EventReference;
use crate::record::request::{Answer, Request, RequestState};

/// Parked events that are dealt with for each event of the store while a request is executed, as long as the scan has
/// found some: neither waits for more than these of the other.
const SCANNED_PER_EVENT: u64 = 3;

/// Rounds of the scan after which an execution takes no more events, so that it ends however many are parked meanwhile.
const MAX_ROUNDS: u32 = 10;

/// A lane's requests.
pub(crate) struct Requests {
    pub(crate) reader: RequestReader,
    /// Replays and discards in the order of their arrival. The first is executed.
    queue: VecDeque<(Bytes, Request)>,
    pub(crate) running: Option<Execution>,
    /// Requests to park or skip one event, at which the lane is halted or may halt.
    pub(crate) halted_requests: Vec<HaltedRequest>,
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
pub(crate) struct HaltedRequest {
    pub(crate) id: Bytes,
    pub(crate) request: Request,
    pub(crate) event: EventReference,
    pub(crate) position: Position,
}

/// A replay or discard that is being executed.
pub(crate) struct Execution {
    pub(crate) id: Bytes,
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    pub(crate) scan: ParkedScan,
    /// A parked event that could not be dealt with yet, and when to try again.
    pub(crate) stalled: Option<(Box<ScannedEvent>, Instant)>,
    phase: Phase,
    rounds: u32,
    /// Parked events that were scanned since an event was taken, at most [`SCANNED_PER_EVENT`].
    scanned: u64,
    /// Events that were parked since the scan's round began: another round must find them.
    parked: u64,
    /// Whether the scan began with the first record.
    is_whole: bool,
    /// Parked events that a whole scan must meet, and those that it has met.
    expected: u64,
    met: u64,
    /// The first parked event of the selected stream that the scan has met last.
    first_met: Option<Revision>,
}

/// How an execution comes to its end although further events of its streams may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Events of the store are taken meanwhile.
    Interleaved,
    /// None are taken any more; those taken before are being committed.
    Committing,
    /// None are taken; the last round finds what was parked before it.
    Draining,
}

impl Requests {
    pub(crate) fn new(reader: RequestReader) -> Self {
        Self {
            reader,
            queue: VecDeque::new(),
            running: None,
            halted_requests: Vec::new(),
            answers: BTreeMap::new(),
            expired: Vec::new(),
        }
    }

    /// Queues a replay or discard, and tells its sender that it was seen.
    pub(crate) fn enqueue(&mut self, id: Bytes, request: Request) {
        let answer = request.answer.clone().unwrap_or_else(Answer::running);
        self.answer(id.clone(), &request, answer);
        self.queue.push_back((id, request));
    }

    pub(crate) fn expire(&mut self, id: Bytes) {
        self.expired.push(id);
    }

    /// The next replay or discard to execute, if none is being executed.
    pub(crate) fn next(&mut self) -> Option<(Bytes, Request)> {
        if self.running.is_some() { None } else { self.queue.pop_front() }
    }

    pub(crate) fn answer(&mut self, id: Bytes, request: &Request, answer: Answer) {
        self.answers.insert(id, request.answered(answer));
    }

    pub(crate) fn fail(&mut self, id: Bytes, request: &Request, reason: String) {
        let mut answer = request.answer.clone().unwrap_or_else(Answer::running);
        answer.state = RequestState::Failed;
        answer.set_reason(reason);
        self.answer(id, request, answer);
    }

    /// Ends the execution; its scan ends with it.
    pub(crate) fn finish(&mut self, state: RequestState) {
        if let Some(Execution { id, request, mut answer, .. }) = self.running.take() {
            answer.state = state;
            answer.next_offset = None;
            self.answer(id, &request, answer);
        }
    }

    /// Shows how far the execution is: the event at this offset is dealt with.
    pub(crate) fn show_progress(&mut self, offset: Option<i64>) {
        if let Some(Execution { id, request, answer, .. }) = &mut self.running {
            answer.next_offset = offset.map(|it| it + 1);
            let (id, request, answer) = (id.clone(), request.clone(), answer.clone());
            self.answer(id, &request, answer);
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
        tokio::select! {
            incoming = reader.next() => Input::Incoming(incoming),
            scanned = scanned(running), if scan => Input::Scanned(scanned),
        }
    }

    /// An event of the store was taken.
    pub(crate) fn event_taken(&mut self) {
        self.running.iter_mut().for_each(|it| it.scanned = 0);
    }

    /// An event of the store was parked.
    pub(crate) fn event_parked(&mut self) {
        if let Some(execution) = &mut self.running {
            execution.parked += 1;
            // The last round does not wait for it.
            execution.expected += u64::from(execution.phase != Phase::Draining);
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
            execution.scan.next_round();
        }
    }

    /// How many parked events a whole scan has not met, now that its last round has ended.
    pub(crate) fn missing(&self) -> u64 {
        let execution = self.running.as_ref().filter(|it| it.is_whole && it.phase == Phase::Draining);
        execution.map_or(0, |it| it.expected.saturating_sub(it.met))
    }

    /// A round of the scan has ended.
    pub(crate) fn round_ended(&mut self, few: u64) {
        let Some(execution) = &mut self.running else { return };
        if execution.phase == Phase::Draining {
            self.finish(RequestState::Done);
        } else if execution.parked <= few || execution.rounds >= MAX_ROUNDS {
            execution.phase = Phase::Committing;
        } else {
            execution.parked = 0;
            execution.rounds += 1;
            execution.scan.next_round();
        }
    }
}

/// What the execution's scan finds next. Never completes where there is nothing to wait for.
async fn scanned(running: &mut Option<Execution>) -> Scanned {
    let Some(execution) = running else { return std::future::pending().await };
    if let Some((_, again)) = &execution.stalled {
        tokio::time::sleep_until(*again).await;
    }
    if let Some((event, _)) = execution.stalled.take() {
        return Scanned::Event(event);
    }
    match execution.phase {
        Phase::Committing => std::future::pending().await,
        Phase::Interleaved | Phase::Draining => execution.scan.next().await,
    }
}

impl Execution {
    /// `parked` events are parked now.
    pub(crate) fn new(id: Bytes, request: Request, scan: ParkedScan, parked: u64) -> Self {
        let answer = request.answer.clone().unwrap_or_else(Answer::running);
        Self {
            is_whole: answer.next_offset.is_none(),
            id,
            request,
            answer,
            scan,
            stalled: None,
            phase: Phase::Interleaved,
            rounds: 0,
            scanned: 0,
            parked: 0,
            expected: parked,
            met: 0,
            first_met: None,
        }
    }

    pub(crate) fn rescan(&mut self, scan: ParkedScan) {
        self.scan = scan;
        (self.is_whole, self.phase) = (true, Phase::Draining);
        (self.met, self.first_met) = (0, None);
    }

    /// The scan has met an event that is parked, the first of its stream where `is_first`.
    pub(crate) fn meet(&mut self, event: &EventReference, is_first: bool) {
        self.met += 1;
        if is_first && self.request.selection.stream.as_deref() == Some(event.stream.as_str()) {
            self.first_met = Some(event.revision);
        }
    }

    /// Tries again with an event that could not be dealt with.
    pub(crate) fn stall(&mut self, scanned: Box<ScannedEvent>, again: Instant) {
        // It is met again.
        self.met = self.met.saturating_sub(u64::from(scanned.offset.is_some()));
        self.stalled = Some((scanned, again));
    }

    pub(crate) fn has_met(&self, first: Revision) -> bool {
        self.first_met == Some(first)
    }

    pub(crate) fn count_scanned(&mut self) {
        self.scanned = SCANNED_PER_EVENT.min(self.scanned + 1);
    }

    fn takes_events(&self) -> bool {
        self.phase == Phase::Interleaved
            && self.stalled.is_none()
            && (self.scanned == SCANNED_PER_EVENT || !self.scan.has_found())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::record::parked::ParkedEvent;
    use crate::record::request::{Action, Selection};

    struct Script {
        requests: Requests,
        found: mpsc::Sender<Scanned>,
        rounds: std::sync::mpsc::Receiver<()>,
        _incoming: mpsc::UnboundedSender<Incoming>,
    }

    fn running() -> Script {
        let (incoming, received) = mpsc::unbounded_channel();
        let mut requests = Requests::new(RequestReader::scripted(received));
        let (found, scanned) = mpsc::channel(9);
        let (next_round, rounds) = std::sync::mpsc::channel();
        let request = Request::new(Action::Replay, Selection::default(), Default::default());
        let scan = ParkedScan::scripted(scanned, next_round);
        requests.running = Some(Execution::new("id".into(), request, scan, 0));
        Script { requests, found, rounds, _incoming: incoming }
    }

    fn parked() -> Scanned {
        let event = EventReference { stream: "a-1".into(), revision: 0 };
        let parked = ParkedEvent::at(event, Default::default());
        Scanned::Event(Box::new(ScannedEvent { parked, offset: Some(0) }))
    }

    #[tokio::test]
    async fn an_execution_ends_with_a_round_after_all_that_was_taken_is_committed() {
        let Script { mut requests, found, rounds, _incoming } = running();
        requests.event_taken();
        requests.event_parked();
        assert!(requests.takes_events(), "nothing was found yet");
        found.send(parked()).await.unwrap();
        assert!(!requests.takes_events(), "the scan is behind");
        assert!(matches!(requests.input(true).await, Input::Scanned(Scanned::Event(_))));
        (0..3).for_each(|_| requests.running.as_mut().unwrap().count_scanned());
        found.send(parked()).await.unwrap();
        assert!(requests.takes_events());
        requests.event_taken();
        assert!(!requests.takes_events(), "the scan has found another one");
        (0..9_000).for_each(|_| requests.running.as_mut().unwrap().count_scanned());
        assert!(requests.takes_events());
        requests.event_taken();
        assert!(!requests.takes_events(), "a long scan does not give the events a long turn");
        assert!(matches!(requests.input(true).await, Input::Scanned(Scanned::Event(_))));
        (0..9_000).for_each(|_| requests.event_taken());
        found.send(parked()).await.unwrap();
        (0..3).for_each(|_| requests.running.as_mut().unwrap().count_scanned());
        assert!(requests.takes_events(), "many events do not give the scan a long turn");

        requests.round_ended(1);
        assert!(requests.is_committing() && !requests.takes_events());
        assert!(requests.input(true).now_or_never().is_none(), "what was parked may not be visible yet");
        rounds.try_recv().unwrap_err();
        requests.committed();
        rounds.try_recv().unwrap();
        assert!(!requests.is_committing() && !requests.takes_events());
        assert!(requests.input(true).now_or_never().is_some());
        requests.round_ended(1);
        assert!(requests.running.is_none() && requests.takes_events());
        let answer = requests.answers[&Bytes::from_static(b"id")].answer.clone().unwrap();
        assert_eq!(answer, Answer { state: RequestState::Done, ..Answer::running() });
    }

    #[tokio::test]
    async fn an_execution_ends_however_many_events_are_parked_meanwhile() {
        let Script { mut requests, rounds, found: _found, _incoming } = running();
        for _ in 0..MAX_ROUNDS {
            (0..9).for_each(|_| requests.event_parked());
            requests.round_ended(1);
            rounds.try_recv().unwrap();
            assert!(requests.takes_events());
        }
        (0..9).for_each(|_| requests.event_parked());
        requests.round_ended(1);
        assert!(requests.is_committing());
    }
}
