//! A replay or discard that is being executed.

use aqueduct_core::Revision;
use bytes::Bytes;
use tokio::time::Instant;

use crate::lane::parked_scan::{ParkedScan, Scanned};
use crate::record::reference::EventReference;
use crate::record::request::{Answer, Request, RequestState};

/// Parked events that are dealt with for each event of the store while a request is executed, as long as the scan has
/// found some: neither waits for more than these of the other.
const SCANNED_PER_EVENT: u64 = 3;

/// Rounds of the scan after which an execution takes no more events, so that it ends however many are parked meanwhile.
pub(crate) const MAX_ROUNDS: u32 = 10;

/// A replay or discard that is being executed.
pub(crate) struct Execution {
    id: Bytes,
    request: Request,
    answer: Answer,
    scan: ParkedScan,
    stalled: Option<Stalled>,
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

/// What an execution could not deal with yet.
pub(crate) struct Stalled {
    pub(crate) scanned: Scanned,
    /// When to try again.
    pub(crate) again: Instant,
    /// Why it waits.
    pub(crate) problem: String,
}

/// What became of a parked event.
pub(crate) enum Outcome {
    Replayed,
    Discarded,
    /// It stays parked, and with it the later events of its stream.
    ParkedAgain {
        reason: String,
    },
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

    /// An execution in its last round. Its scan finds nothing.
    #[cfg(test)]
    pub(crate) fn in_last_round(request: Request, parked: u64) -> Self {
        let mut execution = Self::new("id".into(), request, Self::empty_scan(), parked);
        execution.next_round(u64::MAX);
        execution.committed();
        execution
    }

    /// A scan that finds nothing.
    #[cfg(test)]
    pub(crate) fn empty_scan() -> ParkedScan {
        ParkedScan::scripted(tokio::sync::mpsc::channel(1).1, std::sync::mpsc::channel().0)
    }

    /// Begins again with a scan from the first record on, now that `parked` events are parked.
    pub(crate) fn rescan(&mut self, scan: ParkedScan, parked: u64) {
        self.scan = scan;
        self.phase = Phase::Interleaved;
        (self.is_whole, self.is_rescan) = (true, true);
        (self.parked, self.expected, self.met) = (0, parked, 0);
        (self.first_met, self.passed_over) = (None, None);
    }

    pub(crate) fn id(&self) -> &Bytes {
        &self.id
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
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

    /// What comes next of the scan, or what could not be dealt with before. Never completes while there is nothing to
    /// wait for.
    pub(crate) async fn next_scanned(&mut self) -> Scanned {
        if let Some(Stalled { again, .. }) = &self.stalled {
            tokio::time::sleep_until(*again).await;
        }
        if let Some(Stalled { scanned, .. }) = self.stalled.take() {
            return scanned;
        }
        match self.phase {
            Phase::Committing => std::future::pending().await,
            Phase::Interleaved | Phase::Draining => self.scan.next().await,
            Phase::FromStore => Scanned::End,
        }
    }

    pub(crate) fn count_scanned(&mut self) {
        self.scanned = SCANNED_PER_EVENT.min(self.scanned + 1);
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

    fn is_selected_stream(&self, event: &EventReference) -> bool {
        self.request.selection.stream.as_deref() == Some(event.stream.as_str())
    }

    /// Whether this event was dealt with as the first of the selected stream.
    pub(crate) fn has_met(&self, first: Revision) -> bool {
        self.first_met == Some(first)
    }

    /// Whether another scan meets this event of the selected stream.
    pub(crate) fn has_passed_over(&self, revision: Revision) -> bool {
        self.passed_over.is_some_and(|passed_over| passed_over <= revision)
    }

    /// How many parked events a whole scan has not met, once its last round has ended.
    pub(crate) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.met)
    }

    /// Counts what became of a parked event.
    pub(crate) fn count(&mut self, event: &EventReference, outcome: Outcome) {
        match outcome {
            Outcome::Replayed => self.answer.replayed += 1,
            Outcome::Discarded => self.answer.discarded += 1,
            Outcome::ParkedAgain { reason } => {
                self.answer.parked_again += 1;
                self.answer.set_reason(format!("{event}: {reason}"));
            }
        }
    }

    /// The event at this offset is dealt with: the next owner of the lane continues behind it.
    pub(crate) fn advance(&mut self, offset: Option<i64>) {
        self.answer.next_offset = offset.map(|it| it + 1).or(self.answer.next_offset);
    }

    /// Why the execution will end as failed.
    pub(crate) fn set_reason(&mut self, reason: String) {
        self.answer.set_reason(reason);
    }

    /// The request with the answer so far.
    pub(crate) fn answered(&self) -> Request {
        self.request.answered(self.answer.clone())
    }

    /// Ends the execution and its scan; the request with its last answer.
    pub(crate) fn finish(self, state: RequestState) -> (Bytes, Request) {
        let answer = Answer { state, next_offset: None, ..self.answer };
        (self.id, self.request.answered(answer))
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

    /// What is stalled, if something is.
    pub(crate) fn stalled(&self) -> Option<&Stalled> {
        self.stalled.as_ref()
    }

    /// Whether an event of the store may be taken now.
    pub(crate) fn takes_events(&self) -> bool {
        let is_turn = self.scanned == SCANNED_PER_EVENT || self.stalled.is_some();
        match self.phase {
            Phase::Interleaved => is_turn || !self.scan.has_found(),
            Phase::Committing | Phase::Draining => false,
            Phase::FromStore => is_turn,
        }
    }

    /// An event of the store was taken.
    pub(crate) fn event_taken(&mut self) {
        self.scanned = 0;
    }

    /// An event of the store was parked.
    pub(crate) fn event_parked(&mut self, event: &EventReference) {
        self.parked += 1;
        match self.phase {
            Phase::Interleaved | Phase::Committing => self.expected += 1,
            // The last round does not wait for it.
            Phase::Draining | Phase::FromStore => self.pass_over(event),
        }
    }

    /// Begins another round of the scan, or the last one where at most `few` events were parked during this one.
    pub(crate) fn next_round(&mut self, few: u64) {
        if self.parked <= few || self.rounds >= MAX_ROUNDS {
            self.phase = Phase::Committing;
        } else {
            self.parked = 0;
            self.rounds += 1;
            self.scan.next_round();
        }
    }

    /// Whether everything that was taken must be committed before the execution continues.
    pub(crate) fn is_committing(&self) -> bool {
        self.phase == Phase::Committing
    }

    /// Everything that was taken is committed: where the execution waited for it, the last round begins.
    pub(crate) fn committed(&mut self) {
        if self.is_committing() {
            self.phase = Phase::Draining;
            self.scan.next_round();
        }
    }

    /// Whether the scan's last round has begun.
    pub(crate) fn is_last_round(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::FromStore)
    }

    /// Continues with events that the topic lacks.
    pub(crate) fn read_from_store(&mut self) {
        self.phase = Phase::FromStore;
    }
}
