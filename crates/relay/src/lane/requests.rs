//! The requests of operators that a lane works on.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::lane::batch::Batch;
use crate::lane::exception_log::ExceptionLog;
use crate::lane::execution::{Execution, Stalled};
use crate::lane::halted_request::HaltedRequest;
use crate::lane::parked_scan::Scanned;
use crate::lane::request_reader::{Incoming, RequestReader};
use crate::record::reference::EventReference;
use crate::record::request::{Answer, Request, RequestState};

/// A lane's requests.
pub(crate) struct Requests {
    reader: RequestReader,
    /// Replays and discards in the order of their arrival.
    queue: VecDeque<(Bytes, Request)>,
    /// The replay or discard that is being executed. Boxed, since it leaves with what its scan finds.
    running: Option<Box<Execution>>,
    /// Requests to park or skip one event, at which the lane is halted or may halt.
    halted: Vec<HaltedRequest>,
    /// Answers that the next batch must carry.
    answers: BTreeMap<Bytes, Request>,
    /// Finished requests that the next batch removes.
    expired: Vec<Bytes>,
}

/// What a lane with requests must deal with.
pub(crate) enum Input {
    Incoming(Incoming),
    /// What its scan found of an execution, which continues with [`Requests::execute`].
    Scanned(Box<Execution>, Scanned),
}

impl Requests {
    pub(crate) fn new(reader: RequestReader) -> Self {
        Self {
            reader,
            queue: VecDeque::new(),
            running: None,
            halted: Vec::new(),
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

    /// The next replay or discard to execute, if none is being executed.
    pub(crate) fn next(&mut self) -> Option<(Bytes, Request)> {
        if self.running.is_some() { None } else { self.queue.pop_front() }
    }

    /// Continues an execution with what its scan finds next.
    pub(crate) fn execute(&mut self, execution: Box<Execution>) {
        self.running = Some(execution);
    }

    /// Keeps a request to park or skip an event until the lane halts at the event or passes it, and tells its sender that
    /// it was seen.
    pub(crate) fn receive_halted(&mut self, halted: HaltedRequest) {
        self.answer(halted.id.clone(), &halted.request, Answer::running());
        self.await_halt(halted);
    }

    /// Keeps a request until the lane halts at its event or passes it.
    pub(crate) fn await_halt(&mut self, halted: HaltedRequest) {
        self.halted.push(halted);
    }

    /// Whether a request waits for the lane to halt at its event or to pass it.
    pub(crate) fn has_halted(&self) -> bool {
        !self.halted.is_empty()
    }

    pub(crate) fn take_halted(&mut self) -> Vec<HaltedRequest> {
        std::mem::take(&mut self.halted)
    }

    pub(crate) fn expire(&mut self, id: Bytes) {
        self.expired.push(id);
    }

    fn answer(&mut self, id: Bytes, request: &Request, answer: Answer) {
        self.answers.insert(id, request.answered(answer));
    }

    /// Answers that a request is executed.
    pub(crate) fn done(&mut self, id: Bytes, request: &Request) {
        self.answer(id, request, Answer { state: RequestState::Done, ..Answer::running() });
    }

    /// Answers why a request cannot be executed.
    pub(crate) fn fail(&mut self, id: Bytes, request: &Request, reason: String) {
        let mut answer = request.answer.clone().unwrap_or_else(Answer::running);
        answer.state = RequestState::Failed;
        answer.set_reason(reason);
        self.answer(id, request, answer);
    }

    /// Answers how far an execution is.
    pub(crate) fn show_progress(&mut self, execution: &Execution) {
        self.answers.insert(execution.id().clone(), execution.answered());
    }

    /// Ends an execution and answers its request. The scan ends with it.
    pub(crate) fn finish(&mut self, execution: Execution, state: RequestState) {
        let (id, answered) = execution.finish(state);
        self.answers.insert(id, answered);
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

    /// What comes next: a request, or with `scan` what the execution's scan finds.
    pub(crate) async fn input(&mut self, scan: bool) -> Input {
        let Self { reader, running, .. } = self;
        tokio::select! {
            incoming = reader.next() => Input::Incoming(incoming),
            (execution, scanned) = next_scanned(running), if scan => Input::Scanned(execution, scanned),
        }
    }

    /// Whether an event of the store may be taken now.
    pub(crate) fn takes_events(&self) -> bool {
        // Where events are always ready, a request would wait for ever.
        !self.reader.has_received() && self.running.as_ref().is_none_or(|it| it.takes_events())
    }

    /// An event of the store was taken.
    pub(crate) fn event_taken(&mut self) {
        self.running.iter_mut().for_each(|it| it.event_taken());
    }

    /// An event of the store was parked.
    pub(crate) fn event_parked(&mut self, event: &EventReference) {
        self.running.iter_mut().for_each(|it| it.event_parked(event));
    }

    /// Whether everything that was taken must be committed before the execution continues.
    pub(crate) fn is_committing(&self) -> bool {
        self.running.as_ref().is_some_and(|it| it.is_committing())
    }

    /// Everything that was taken is committed.
    pub(crate) fn committed(&mut self) {
        self.running.iter_mut().for_each(|it| it.committed());
    }

    /// What the execution could not deal with yet.
    pub(crate) fn stalled(&self) -> Option<&Stalled> {
        self.running.as_ref().and_then(|it| it.stalled())
    }
}

/// The execution, with what its scan finds next. Never completes where there is nothing to wait for.
async fn next_scanned(running: &mut Option<Box<Execution>>) -> (Box<Execution>, Scanned) {
    if let Some(execution) = running {
        let scanned = execution.next_scanned().await;
        if let Some(execution) = running.take() {
            return (execution, scanned);
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::lane::execution::MAX_ROUNDS;
    use crate::lane::parked_scan::{ParkedScan, ScannedEvent};
    use crate::record::parked::ParkedEvent;
    use crate::record::request::{Action, ParkedFilter};

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
        let request = Request::new(Action::Replay, ParkedFilter::default(), Default::default());
        let scan = ParkedScan::scripted(scanned, next_round);
        requests.execute(Box::new(Execution::new("id".into(), request, scan, 0)));
        Script { requests, found, rounds, _incoming: incoming }
    }

    fn execution(requests: &mut Requests) -> &mut Execution {
        requests.running.as_mut().unwrap()
    }

    /// What the scan finds next. The execution continues.
    async fn scanned(requests: &mut Requests) -> Scanned {
        let Input::Scanned(execution, scanned) = requests.input(true).await else { panic!("a request") };
        requests.execute(execution);
        scanned
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
        assert!(matches!(scanned(&mut requests).await, Scanned::Event(_)));
        (0..3).for_each(|_| execution(&mut requests).count_scanned());
        found.send(parked()).await.unwrap();
        assert!(requests.takes_events());
        requests.event_taken();
        assert!(!requests.takes_events(), "the scan has found another one");
        (0..9_000).for_each(|_| execution(&mut requests).count_scanned());
        assert!(requests.takes_events());
        requests.event_taken();
        assert!(!requests.takes_events(), "a long scan does not give the events a long turn");
        assert!(matches!(scanned(&mut requests).await, Scanned::Event(_)));
        (0..9_000).for_each(|_| requests.event_taken());
        found.send(parked()).await.unwrap();
        (0..3).for_each(|_| execution(&mut requests).count_scanned());
        assert!(requests.takes_events(), "many events do not give the scan a long turn");

        execution(&mut requests).next_round(1);
        assert!(requests.is_committing() && !requests.takes_events());
        assert!(requests.input(true).now_or_never().is_none(), "what was parked may not be visible yet");
        rounds.try_recv().unwrap_err();
        requests.committed();
        rounds.try_recv().unwrap();
        assert!(!requests.is_committing() && !requests.takes_events());
        assert!(scanned(&mut requests).now_or_never().is_some());
        assert!(execution(&mut requests).is_last_round());
        let execution = requests.running.take().unwrap();
        requests.finish(*execution, RequestState::Done);
        assert!(requests.takes_events());
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
            let again = Instant::now() + Duration::from_secs(60);
            execution(requests).stall(Stalled { scanned: parked(), again, problem: String::new() });
        };
        found.send(parked()).await.unwrap();
        stall(&mut requests);
        assert!(requests.takes_events());

        execution(&mut requests).next_round(1);
        requests.committed();
        assert!(!requests.takes_events(), "the last round");
        stall(&mut requests);
        assert!(requests.takes_events());
        assert!(!execution(&mut requests).is_last_round(), "what is parked meanwhile needs another");
    }

    #[tokio::test]
    async fn an_execution_ends_however_many_events_are_parked_meanwhile() {
        let Script { mut requests, rounds, found: _found, _incoming } = running();
        for _ in 0..MAX_ROUNDS {
            (0..9).for_each(|_| requests.event_parked(&event()));
            execution(&mut requests).next_round(1);
            rounds.try_recv().unwrap();
            assert!(requests.takes_events());
        }
        (0..9).for_each(|_| requests.event_parked(&event()));
        execution(&mut requests).next_round(1);
        assert!(requests.is_committing());
    }
}
