//! Waiting for the owners of the lanes to execute a request.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use aqueduct_relay::parked::{Action, Answer, POLL_INTERVAL, RequestState, SentRequest};

use super::super::OWNER_TIMEOUT;
use super::blocking;
use crate::failure::Failure;

/// Decides when to print a hint because a request makes no progress.
#[derive(Default)]
struct StallHint {
    /// What the lanes had answered, and since when.
    last: Option<(BTreeMap<u32, Option<Answer>>, Instant)>,
    is_shown: bool,
}

impl StallHint {
    /// A hint, once after each answer that nothing has followed for [`OWNER_TIMEOUT`].
    fn hint(
        &mut self,
        action: Action,
        answers: &BTreeMap<u32, Option<Answer>>,
        now: Instant,
    ) -> Option<&'static str> {
        match &self.last {
            Some((last, since)) if last == answers => {
                if self.is_shown || now.duration_since(*since) <= OWNER_TIMEOUT {
                    return None;
                }
                self.is_shown = true;
                Some(match action {
                    Action::Park | Action::Skip => {
                        "the lane has not reached the event yet; the request is stored, interrupting this command is \
                         safe"
                    }
                    Action::Replay | Action::Discard => {
                        "no progress: the lane waits for the event store or the schema registry, or its relay has \
                         stopped; the request is stored, and whoever owns the lane next continues it: interrupting \
                         this command is safe"
                    }
                })
            }
            Some(_) | None => {
                self.last = Some((answers.clone(), now));
                self.is_shown = false;
                None
            }
        }
    }
}

/// Shows how far a request is until it is done, failed, or without a running owner. The request is stored: it is
/// executed whether or not this command waits.
#[expect(clippy::print_stdout, reason = "the result is the command's output")]
pub(super) async fn follow(action: Action, mut sent: SentRequest) -> Result<ExitCode, Failure> {
    let (begun, id) = (Instant::now(), sent.id());
    let mut shown = BTreeMap::new();
    let mut stall = StallHint::default();
    loop {
        let (still_sent, answers) = blocking(move || {
            let answers = sent.answers()?;
            Ok((sent, answers))
        })
        .await?;
        sent = still_sent;
        if answers != shown {
            eprintln!("{}", progress(&answers));
        }
        if answers.values().all(|it| it.as_ref().is_some_and(|it| it.state != RequestState::Running)) {
            return Ok(result(&answers));
        }
        let unseen: Vec<_> =
            answers.iter().filter(|(_, it)| it.is_none()).map(|(lane, _)| lane.to_string()).collect();
        if !unseen.is_empty() && begun.elapsed() > OWNER_TIMEOUT {
            let (action, lanes) = (action.as_str(), unseen.join(", "));
            println!(
                "no running relay owns lane {lanes}: {action} {id} is stored and will be executed when one starts"
            );
            return Ok(ExitCode::FAILURE);
        }
        if let Some(hint) = stall.hint(action, &answers, Instant::now()) {
            eprintln!("{hint}");
        }
        shown = answers;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The sum of what the lanes have answered.
fn sum(answers: &BTreeMap<u32, Option<Answer>>) -> (u64, u64, u64) {
    let answered = answers.values().flatten();
    answered.fold((0, 0, 0), |(replayed, discarded, again), it| {
        (replayed + it.replayed, discarded + it.discarded, again + it.parked_again)
    })
}

fn progress(answers: &BTreeMap<u32, Option<Answer>>) -> String {
    let (replayed, discarded, again) = sum(answers);
    let count = |state: Option<RequestState>| {
        answers.values().filter(|it| it.as_ref().map(|it| it.state) == state).count()
    };
    format!(
        "{replayed} replayed, {discarded} discarded, {again} parked again; lanes: {} done, {} failed, {} running, \
         {} not seen yet",
        count(Some(RequestState::Done)),
        count(Some(RequestState::Failed)),
        count(Some(RequestState::Running)),
        count(None),
    )
}

#[expect(clippy::print_stdout, reason = "the result is the command's output")]
fn result(answers: &BTreeMap<u32, Option<Answer>>) -> ExitCode {
    let (replayed, discarded, again) = sum(answers);
    println!("{replayed} events replayed, {discarded} discarded, {again} parked again");
    for (lane, answer) in answers {
        if let Some(reason) = answer.as_ref().and_then(|it| it.reason.as_ref()) {
            println!("lane {lane}: {reason}");
        }
    }
    if has_failed(answers) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// An event that was parked again is not where the operator wants it.
fn has_failed(answers: &BTreeMap<u32, Option<Answer>>) -> bool {
    answers.values().flatten().any(|it| it.state == RequestState::Failed || it.parked_again > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_answers_no_more_is_reported_once() {
        let running = |replayed| BTreeMap::from([(0, Some(Answer { replayed, ..Answer::running() }))]);
        let (mut stall, start) = (StallHint::default(), Instant::now());
        let late = start + OWNER_TIMEOUT * 2;
        let mut hint = |replayed, at| stall.hint(Action::Replay, &running(replayed), at).is_some();
        assert!(!hint(0, start));
        assert!(!hint(0, start + OWNER_TIMEOUT));
        assert!(hint(0, late));
        assert!(!hint(0, late + OWNER_TIMEOUT), "once");
        assert!(!hint(1, late));
        assert!(!hint(1, late + OWNER_TIMEOUT));
        assert!(hint(1, late + OWNER_TIMEOUT * 2), "after each answer");
    }

    #[test]
    fn the_progress_is_that_of_all_lanes() {
        let answer = |state, replayed, parked_again| {
            Some(Answer { state, replayed, discarded: 1, parked_again, reason: None, next_offset: None })
        };
        let mut answers = BTreeMap::from([
            (0, answer(RequestState::Done, 3, 0)),
            (1, answer(RequestState::Running, 4, 0)),
            (2, None),
        ]);
        assert_eq!(
            progress(&answers),
            "7 replayed, 2 discarded, 0 parked again; lanes: 1 done, 0 failed, 1 running, 1 not seen yet"
        );
        answers = BTreeMap::from([(0, answer(RequestState::Done, 3, 0))]);
        assert!(!has_failed(&answers));
        answers.insert(1, answer(RequestState::Done, 3, 1));
        assert!(has_failed(&answers));
        answers.insert(1, answer(RequestState::Failed, 0, 0));
        assert!(has_failed(&answers));
    }
}
