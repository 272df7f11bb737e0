//! Parked events whose records the parked topic lacks.

use aqueduct_core::StreamName;

use crate::lane::exceptions::Exceptions;
use crate::lane::execution::Execution;
use crate::record::reference::EventReference;

/// How an execution continues at the end of a round of its scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterRound {
    /// Another round, or the last one.
    NextRound,
    /// Another scan, from the first record on.
    Rescan,
    /// This event of the selected stream is read from the store: the topic lacks it.
    FromStore(EventReference),
    /// The topic lacks the records of this many events, and the request does not say of which stream.
    Incomplete {
        missing: u64,
    },
    Done,
}

/// Decides how an execution continues at the end of a round of its scan. An event whose record is missing in the parked
/// topic would block its stream for ever: it is read from the store where the request names the stream.
pub(crate) fn after_round(execution: &Execution, exceptions: &Exceptions) -> AfterRound {
    if !execution.is_last_round() {
        return AfterRound::NextRound;
    }
    if !execution.is_whole() {
        // A scan that began behind the first record does not show what the topic lacks.
        return if exceptions.has_cut_off_stream() { AfterRound::Rescan } else { AfterRound::Done };
    }
    let Some(stream) = execution.request().selection.stream.as_deref().map(StreamName::from) else {
        return match execution.missing() {
            0 => AfterRound::Done,
            missing => AfterRound::Incomplete { missing },
        };
    };
    let first = exceptions.first_parked(&stream).map(|(first, _)| first);
    match first.filter(|first| !execution.has_met(*first)) {
        None => AfterRound::Done,
        Some(revision) if execution.has_passed_over(revision) => AfterRound::Rescan,
        Some(revision) => AfterRound::FromStore(EventReference { stream, revision }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::exceptions::Remembered;
    use crate::record::code::Code;
    use crate::record::exception::{ExceptionState, LastRelayed};
    use crate::record::request::{Action, Answer, ParkedFilter, Request};

    fn event(revision: u64) -> EventReference {
        EventReference { stream: "a-1".into(), revision }
    }

    /// One parked event of a stream: revision 3.
    fn exceptions(code: Code) -> Exceptions {
        let mut exceptions = Exceptions::default();
        let (state, last) = (ExceptionState::Parked, LastRelayed::Unknown);
        exceptions.insert(&event(3), Remembered { state, code, last });
        exceptions
    }

    fn request(stream: Option<&str>) -> Request {
        let selection = ParkedFilter { stream: stream.map(str::to_owned), ..ParkedFilter::default() };
        Request::new(Action::Replay, selection, Default::default())
    }

    #[test]
    fn an_execution_reports_what_a_whole_scan_has_not_met() {
        let exceptions = exceptions(Code::Payload);
        let first_round = Execution::new("id".into(), request(None), Execution::empty_scan(), 2);
        assert_eq!(after_round(&first_round, &exceptions), AfterRound::NextRound);
        let mut execution = Execution::in_last_round(request(None), 2);
        execution.meet(&event(3), true, true);
        assert_eq!(after_round(&execution, &exceptions), AfterRound::Incomplete { missing: 1 });
        execution.meet(&event(4), false, true);
        assert_eq!(after_round(&execution, &exceptions), AfterRound::Done);
    }

    #[test]
    fn the_first_parked_event_of_the_selected_stream_is_read_from_the_store_where_the_topic_lacks_it() {
        let exceptions = exceptions(Code::Payload);
        let execution = || Execution::in_last_round(request(Some("a-1")), 1);
        assert_eq!(after_round(&execution(), &exceptions), AfterRound::FromStore(event(3)));
        assert_eq!(after_round(&execution(), &Exceptions::default()), AfterRound::Done);
        let mut met = execution();
        met.meet(&event(3), true, true);
        assert_eq!(after_round(&met, &exceptions), AfterRound::Done, "it stays parked");
        let mut passed_over = execution();
        passed_over.meet(&event(3), false, true);
        assert_eq!(after_round(&passed_over, &exceptions), AfterRound::Rescan, "it was not yet the first");
    }

    #[test]
    fn a_scan_that_began_behind_the_first_record_is_repeated_for_a_stream_that_was_cut_off() {
        let answer = Answer { next_offset: Some(7), ..Answer::running() };
        let mut execution = Execution::in_last_round(request(None).answered(answer), 1);
        assert_eq!(after_round(&execution, &exceptions(Code::Payload)), AfterRound::Done);
        assert_eq!(after_round(&execution, &exceptions(Code::Blocked)), AfterRound::Rescan);
        execution.rescan(Execution::empty_scan(), 1);
        execution.next_round(u64::MAX);
        execution.committed();
        let incomplete = AfterRound::Incomplete { missing: 1 };
        assert_eq!(after_round(&execution, &exceptions(Code::Blocked)), incomplete, "once");
    }
}
