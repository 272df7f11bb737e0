//! What a request asks to do with a parked event.

use crate::lane::exceptions::{Exceptions, Remembered};
use crate::lane::execution::Execution;
use crate::lane::parked_scan::ScannedEvent;
use crate::record::code::Code;
use crate::record::exception::ExceptionState;
use crate::record::parked::ParkedEvent;
use crate::record::reference::EventReference;
use crate::record::request::{Action, Request};

/// What to do with a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Replay,
    Discard {
        /// No earlier event of its stream is parked.
        is_first: bool,
        /// Why it is parked.
        code: Code,
    },
}

/// What an execution does with an event that its scan has found, or that was read from the store; `None` where its
/// request does not concern the event, or not yet.
pub(crate) fn decide_step(
    execution: &Execution,
    exceptions: &Exceptions,
    ScannedEvent { parked, offset }: &ScannedEvent,
) -> Option<Step> {
    let event = EventReference::of(&parked.event);
    if execution.is_rescan() && offset.is_some() {
        is_cut_off(exceptions, &event).then_some(Step::Replay)
    } else {
        requested_step(execution.request(), exceptions, &event, parked)
    }
}

/// Whether the event is the first parked one of its stream, and its code is `blocked`. Then what was before it has been
/// replayed or discarded, so it is next, whichever request is executed: the one that began it may have been cut off.
fn is_cut_off(exceptions: &Exceptions, event: &EventReference) -> bool {
    let first = exceptions.first_parked(&event.stream);
    first.is_some_and(|(first, it)| first == event.revision && it.code == Code::Blocked)
}

/// What a request asks to do with a parked event now. Only the first parked event of a stream can be replayed.
fn requested_step(
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
        Action::Discard if is_seen && selects(event, code) => Some(Step::Discard { is_first, code }),
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
    use crate::record::exception::LastRelayed;

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
            match requested_step(&request, &exceptions, &event, &parked)? {
                Step::Replay => Some((revision, "replay")),
                Step::Discard { is_first: true, .. } => Some((revision, "discard first")),
                Step::Discard { is_first: false, .. } => Some((revision, "discard")),
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

    #[test]
    fn another_scan_only_continues_what_was_cut_off() {
        let at = "2026-01-01T00:00:05Z".parse().unwrap();
        let steps = |code, offset| {
            let request = Request::new(Action::Discard, Default::default(), at);
            let mut execution = Execution::in_last_round(request, 1);
            let event = EventReference { stream: "a-1".into(), revision: 3 };
            let mut exceptions = Exceptions::default();
            let last = LastRelayed::Unknown;
            exceptions.insert(&event, Remembered { state: ExceptionState::Parked, code, last });
            let scanned = ScannedEvent { parked: ParkedEvent::at(event, at), offset };
            let first = decide_step(&execution, &exceptions, &scanned);
            execution.rescan(Execution::empty_scan(), 1);
            (first, decide_step(&execution, &exceptions, &scanned))
        };
        let discard = |code| Some(Step::Discard { is_first: true, code });
        assert_eq!(steps(Code::Payload, Some(7)), (discard(Code::Payload), None));
        assert_eq!(steps(Code::Blocked, Some(7)), (discard(Code::Blocked), Some(Step::Replay)));
        let from_store = (discard(Code::Payload), discard(Code::Payload));
        assert_eq!(steps(Code::Payload, None), from_store, "no scan has found it");
    }
}
