//! The requests of operators that a lane works on.

use std::collections::{BTreeMap, VecDeque};

use aqueduct_core::{Position, Revision};
use bytes::Bytes;
use tokio::time::Instant;

use crate::lane::batch::Batch;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::parked_scan::{ParkedScan, Scanned};
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
    pub(crate) stalled: Option<Stalled>,
    phase: Phase,
    rounds: u32,
    /// Parked events that were scanned since an event was taken, at most [`SCANNED_PER_EVENT`].
    scanned: u64,
    /// Events that were parked since the scan's round began: another round must find them.
    parked: u64,
    /// Whether the scan began with the first record.
    is_whole: bool,
    /// Whether another scan of the execution has ended.
    is_rescan: bool,
    /// Parked events that a whole scan must meet, and those that it has met.
    expected: u64,
    met: u64,
    /// The first parked event of the selected stream that was dealt with last.
    first_met: Option<Revision>,
    /// The first event of the selected stream that the scan has met, or will meet, while an earlier one was parked.
    passed_over: Option<Revision>,
}

/// What an execution could not deal with yet.
pub(crate) struct Stalled {
    pub(crate) scanned: Scanned,
    /// When to try again.
    pub(crate) again: Instant,
    /// Why it waits.
    pub(crate) problem: String,
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
    /// Parked events that the topic lacks are read from the store. Events are taken meanwhile.
    FromStore,
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
            answer.next_offset = offset.map(|it| it + 1).or(answer.next_offset);
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
        // Where events are always ready, a request would wait for ever.
        !self.reader.has_received() && self.running.as_ref().is_none_or(Execution::takes_events)
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
    pub(crate) fn event_parked(&mut self, event: &EventReference) {
        let Some(execution) = &mut self.running else { return };
        execution.parked += 1;
        match execution.phase {
            Phase::Interleaved | Phase::Committing => execution.expected += 1,
            // The last round does not wait for it.
            Phase::Draining | Phase::FromStore => execution.pass_over(event),
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

    /// A round of the scan has ended that was not the last.
    pub(crate) fn round_ended(&mut self, few: u64) {
        let Some(execution) = &mut self.running else { return };
        if execution.parked <= few || execution.rounds >= MAX_ROUNDS {
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
    if let Some(Stalled { again, .. }) = &execution.stalled {
        tokio::time::sleep_until(*again).await;
    }
    if let Some(Stalled { scanned, .. }) = execution.stalled.take() {
        return scanned;
    }
    match execution.phase {
        Phase::Committing => std::future::pending().await,
        Phase::Interleaved | Phase::Draining => execution.scan.next().await,
        Phase::FromStore => Scanned::End,
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
            is_rescan: false,
            expected: parked,
            met: 0,
            first_met: None,
            passed_over: None,
        }
    }

    /// Begins again with a scan from the first record on, now that `parked` events are parked.
    pub(crate) fn rescan(&mut self, scan: ParkedScan, parked: u64) {
        self.scan = scan;
        self.phase = Phase::Interleaved;
        (self.is_whole, self.is_rescan) = (true, true);
        (self.parked, self.expected, self.met) = (0, parked, 0);
        (self.first_met, self.passed_over) = (None, None);
    }

    /// Whether what the scan finds was judged before, by another scan: judged again by the reason for which it failed
    /// in between, an event could be discarded that the sender of the request has not seen.
    pub(crate) fn is_rescan(&self) -> bool {
        self.is_rescan
    }

    /// Whether the scan began with the first record.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether the scan's last round has begun.
    pub(crate) fn is_last_round(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::FromStore)
    }

    /// How many parked events a whole scan has not met, once its last round has ended.
    pub(crate) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.met)
    }

    /// Continues with events that the topic lacks.
    pub(crate) fn read_from_store(&mut self) {
        self.phase = Phase::FromStore;
    }

    fn is_selected_stream(&self, event: &EventReference) -> bool {
        self.request.selection.stream.as_deref() == Some(event.stream.as_str())
    }

    /// A parked event is dealt with: the first of its stream where `is_first`, one that the scan has met where
    /// `is_scanned`.
    pub(crate) fn meet(&mut self, event: &EventReference, is_first: bool, is_scanned: bool) {
        self.met += u64::from(is_scanned);
        if !is_first {
            self.pass_over(event);
        } else if self.is_selected_stream(event) {
            self.first_met = Some(event.revision);
        }
    }

    fn pass_over(&mut self, event: &EventReference) {
        if self.is_selected_stream(event) {
            self.passed_over.get_or_insert(event.revision);
        }
    }

    /// Tries again later with what could not be dealt with. Events are taken meanwhile: those of other streams may not
    /// need what this one waits for.
    pub(crate) fn stall(&mut self, stalled: Stalled) {
        if let Scanned::Event(event) = &stalled.scanned {
            // It is met again.
            self.met = self.met.saturating_sub(u64::from(event.offset.is_some()));
        }
        self.stalled = Some(stalled);
        if self.phase == Phase::Draining {
            self.phase = Phase::Interleaved;
        }
    }

    /// Whether this event was dealt with as the first of the selected stream.
    pub(crate) fn has_met(&self, first: Revision) -> bool {
        self.first_met == Some(first)
    }

    /// Whether another scan meets this event of the selected stream.
    pub(crate) fn has_passed_over(&self, revision: Revision) -> bool {
        self.passed_over.is_some_and(|passed_over| passed_over <= revision)
    }

    pub(crate) fn count_scanned(&mut self) {
        self.scanned = SCANNED_PER_EVENT.min(self.scanned + 1);
    }

    fn takes_events(&self) -> bool {
        let is_turn = self.scanned == SCANNED_PER_EVENT || self.stalled.is_some();
        match self.phase {
            Phase::Interleaved => is_turn || !self.scan.has_found(),
            Phase::Committing | Phase::Draining => false,
            Phase::FromStore => is_turn,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::lane::parked_scan::ScannedEvent;
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

    fn event() -> EventReference {
        EventReference { stream: "a-1".into(), revision: 0 }
    }

    fn parked() -> Scanned {
        let parked = ParkedEvent::at(event(), Default::default());
        Scanned::Event(Box::new(ScannedEvent { parked, offset: Some(0) }))
    }

    #[tokio::test]
    async fn an_execution_ends_with_a_round_after_all_that_was_taken_is_committed() {
        let Script { mut requests, found, rounds, _incoming } = running();
        requests.event_taken();
        requests.event_parked(&event());
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
        assert!(requests.running.as_ref().unwrap().is_last_round());
        requests.finish(RequestState::Done);
        assert!(requests.running.is_none() && requests.takes_events());
        let answer = requests.answers[&Bytes::from_static(b"id")].answer.clone().unwrap();
        assert_eq!(answer, Answer { state: RequestState::Done, ..Answer::running() });
    }

    #[tokio::test]
    async fn a_request_comes_before_events_that_are_ready() {
        let Script { mut requests, _incoming: incoming, found: _found, rounds: _rounds } = running();
        assert!(requests.takes_events());
        incoming.send(Incoming::Expired { id: "old".into() }).unwrap();
        assert!(!requests.takes_events());
        assert!(matches!(requests.input(true).await, Input::Incoming(Incoming::Expired { .. })));
        assert!(requests.takes_events());
    }

    #[tokio::test]
    async fn events_are_taken_while_an_execution_waits() {
        let Script { mut requests, found, rounds: _rounds, _incoming } = running();
        let stall = |requests: &mut Requests| {
            let execution = requests.running.as_mut().unwrap();
            let again = Instant::now() + Duration::from_secs(60);
            execution.stall(Stalled { scanned: parked(), again, problem: String::new() });
        };
        found.send(parked()).await.unwrap();
        stall(&mut requests);
        assert!(requests.takes_events());

        requests.round_ended(1);
        requests.committed();
        assert!(!requests.takes_events(), "the last round");
        stall(&mut requests);
        assert!(requests.takes_events());
        assert!(
            !requests.running.as_ref().unwrap().is_last_round(),
            "what is parked meanwhile needs another"
        );
    }

    #[tokio::test]
    async fn an_execution_ends_however_many_events_are_parked_meanwhile() {
        let Script { mut requests, rounds, found: _found, _incoming } = running();
        for _ in 0..MAX_ROUNDS {
            (0..9).for_each(|_| requests.event_parked(&event()));
            requests.round_ended(1);
            rounds.try_recv().unwrap();
            assert!(requests.takes_events());
        }
        (0..9).for_each(|_| requests.event_parked(&event()));
        requests.round_ended(1);
        assert!(requests.is_committing());
    }
}
