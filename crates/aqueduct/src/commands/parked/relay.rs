//! Events that the relay did not relay.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aqueduct_relay::parked::{
    Action, Answer, Code, EventReference, ExceptionState, LastRelayed, Listed, POLL_INTERVAL, ParkedEvent,
    ParkedEvents, RequestState, Selection, SentRequest,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Arguments, OWNER_TIMEOUT, hexadecimal};
use crate::app::Failure;
use crate::connections::Connections;

/// One of the routes.
pub(super) fn route(connections: &Connections, name: &str) -> Result<ParkedEvents, Failure> {
    let names: Vec<_> = routes(connections)?;
    let known = names.iter().map(|it| it.route().to_owned()).collect::<Vec<_>>().join(", ");
    let found = names.into_iter().find(|it| it.route() == name);
    found.ok_or_else(|| format!("there is no route \"{name}\", only: {known}").into())
}

/// All routes.
pub(super) fn routes(connections: &Connections) -> Result<Vec<ParkedEvents>, Failure> {
    let configuration = connections.configuration();
    let (cluster, options) = (configuration.cluster()?, configuration.relay_options());
    let events = options.routes.iter().map(|route| ParkedEvents::new(cluster.clone(), &options, route));
    Ok(events.collect())
}

/// Whether there can be any.
pub(super) fn is_configured(connections: &Connections) -> bool {
    let configuration = connections.configuration();
    configuration.cluster().is_ok() && !configuration.relay.routes.is_empty()
}

/// What the arguments select.
pub(super) fn selection(arguments: &Arguments) -> Result<Selection, Failure> {
    if arguments.projection.is_some() || arguments.topic.is_some() {
        return Err(
            "--route selects events of the relay, --projection and --topic those of projections".into()
        );
    }
    let older_than =
        arguments.older_than.map(|age| Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN));
    Ok(Selection {
        stream: arguments.stream.clone(),
        revision: arguments.revision,
        code: arguments.code.as_ref().map(|code| code.parse()).transpose()?,
        older_than,
    })
}

/// After this time a command prints that it waits for Kafka.
const HINT_AFTER: Duration = Duration::from_secs(5);

/// Calls what blocks.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, aqueduct_relay::LaneError> + Send + 'static,
) -> Result<T, Failure> {
    let mut task = tokio::task::spawn_blocking(call);
    let done = match tokio::time::timeout(HINT_AFTER, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            eprintln!(
                "waiting for Kafka: a transaction that a killed relay has left open ends when another relay starts, or \
                 after relay.transaction_timeout_ms"
            );
            task.await
        }
    };
    Ok(done??)
}

/// What to print of the selected events.
pub(super) enum Shown {
    /// The first ones.
    First { limit: u32, json: bool },
    /// Those that are parked.
    Parked,
}

/// Prints selected events of a route.
pub(super) async fn list(events: ParkedEvents, selection: Selection, shown: Shown) -> Result<(), Failure> {
    let route = events.route().to_owned();
    let listed = blocking(move || events.list(&selection)).await?;
    match shown {
        Shown::First { limit, json } => {
            listed.iter().take(limit as usize).for_each(|it| print(&route, it, json));
        }
        Shown::Parked => {
            let parked = listed.iter().filter(|it| it.exception.state == ExceptionState::Parked);
            parked.for_each(|it| print(&route, it, false));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the command's output")]
fn print(route: &str, listed: &Listed, json: bool) {
    if json {
        println!("{}", to_json(route, listed));
        return;
    }
    let Listed { event, exception, decided_at } = listed;
    let decided_at = decided_at.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let (state, code, reason) = (exception.state.as_str(), exception.code, &exception.reason);
    println!("{decided_at}  route {route}  {event}  {state}  {code}: {reason}");
}

fn to_json(route: &str, listed: &Listed) -> Value {
    let Listed { event, exception, decided_at } = listed;
    json!({
        "route": route, "event": event.to_string(), "stream": event.stream.as_str(), "revision": event.revision,
        "state": exception.state.as_str(), "code": exception.code.as_str(), "reason": exception.reason,
        "position": exception.position, "decidedAt": decided_at.map(|it| it.to_string()),
    })
}

/// An event that a route did not relay.
pub(super) struct Found {
    route: String,
    listed: Listed,
    /// The event itself, unless its parked copy is gone or it was not parked.
    parked: Option<ParkedEvent>,
}

/// Finds an event among those that the route did not relay.
pub(super) async fn find(events: ParkedEvents, event: EventReference) -> Result<Option<Found>, Failure> {
    let route = events.route().to_owned();
    let found = blocking(move || events.show(&event)).await?;
    Ok(found.map(|(listed, parked)| Found { route, listed, parked }))
}

#[expect(clippy::print_stdout, reason = "the event is the command's output")]
pub(super) fn print_found(found: &Found, with_payload: bool) {
    let Found { route, listed: Listed { event, exception, decided_at }, parked } = found;
    println!("{event}  route {route}  {}", exception.state.as_str());
    println!("{}: {}", exception.code, exception.reason);
    if let Some(decided_at) = decided_at {
        println!("decided at: {decided_at}");
    }
    println!("position: {}/{}", exception.position.commit, exception.position.prepare);
    let last = match exception.last {
        LastRelayed::Unknown => "not known yet".to_owned(),
        LastRelayed::None => "none".to_owned(),
        LastRelayed::Revision(revision) => revision.to_string(),
    };
    println!("last relayed revision before it: {last}");
    if let Some(ParkedEvent { event, by_reference, parked_at }) = parked {
        println!("parked at: {parked_at}");
        println!("event type: {}", event.event_type);
        println!("event id: {}", event.id);
        println!("created: {}", event.created);
        println!("content type: {}", event.content_type.as_str());
        if *by_reference {
            println!("data and metadata: too large to be parked, in the event store only");
        } else if with_payload {
            println!("metadata: {}", hexadecimal(Some(&event.metadata[..])));
            println!("data: {}", hexadecimal(Some(&event.data[..])));
        }
    } else if exception.state == ExceptionState::Parked {
        println!("the parked event itself is missing: see the topic of parked events");
    }
}

/// Sends a request and follows it.
pub(super) async fn request(
    events: ParkedEvents,
    action: Action,
    selection: Selection,
) -> Result<ExitCode, Failure> {
    if action == Action::Replay && selection.code == Some(Code::Blocked) {
        let problem = "an event with the code blocked is replayed after the first parked event of its stream: select by \
                       that event's code, or by --stream";
        return Err(problem.into());
    }
    let sent = blocking(move || events.request(action, selection)).await?;
    // Whatever happens from here on, the request is executed.
    eprintln!("{} {} is stored", action.as_str(), sent.id());
    follow(action, sent).await
}

/// Which hint to print while a request makes no progress.
#[derive(Default)]
struct Patience {
    /// What the lanes had answered, and since when.
    last: Option<(BTreeMap<u32, Option<Answer>>, Instant)>,
    is_told: bool,
}

impl Patience {
    /// A hint, once after each answer that nothing has followed for [`OWNER_TIMEOUT`].
    fn hint(
        &mut self,
        action: Action,
        answers: &BTreeMap<u32, Option<Answer>>,
        now: Instant,
    ) -> Option<&'static str> {
        match &self.last {
            Some((last, since)) if last == answers => {
                if self.is_told || now.duration_since(*since) <= OWNER_TIMEOUT {
                    return None;
                }
                self.is_told = true;
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
                self.is_told = false;
                None
            }
        }
    }
}

/// Shows how far a request is until it is done, failed, or without a running owner. The request is stored: it is
/// executed whether or not this command waits.
#[expect(clippy::print_stdout, reason = "the result is the command's output")]
async fn follow(action: Action, mut sent: SentRequest) -> Result<ExitCode, Failure> {
    let (begun, id) = (Instant::now(), sent.id());
    let mut shown = BTreeMap::new();
    let mut patience = Patience::default();
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
        if let Some(hint) = patience.hint(action, &answers, Instant::now()) {
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
        let (mut patience, start) = (Patience::default(), Instant::now());
        let late = start + OWNER_TIMEOUT * 2;
        let mut hint = |replayed, at| patience.hint(Action::Replay, &running(replayed), at).is_some();
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
