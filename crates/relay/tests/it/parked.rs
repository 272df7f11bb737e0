//! Bad events that are parked or skipped, and requests of operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_core::{ErrorKind, StoreError, StreamDeleted};
use aqueduct_relay::parked::{
    Action, Answer, Code, EventReference, ExceptionEntry, ExceptionState, LastRelayed, ParkedEvents,
    ParkedFilter, RequestState, SentRequest,
};
use aqueduct_relay::{OnBadEvent, header};
use aqueduct_schema::SchemaSet;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::faults::halted;
use crate::support::{DEADLINE, Running, World, shared_stack};

/// A note with a field that the schema does not have.
pub(crate) const BAD: &str = r#"{"text":"x","colour":"red","size":7}"#;
pub(crate) const GOOD: &str = r#"{"text":"x","colour":"red"}"#;

pub(crate) async fn world(policy: OnBadEvent) -> World {
    let mut world = World::new(shared_stack().await).await;
    world.options.on_bad_event = policy;
    world
}

fn events(world: &World) -> ParkedEvents {
    ParkedEvents::new(world.cluster.clone(), &world.options, &world.options.routes[0])
}

/// Runs what blocks.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.expect("no panic")
}

/// The exceptions, once there are as many as expected.
pub(crate) async fn listed(world: &World, count: usize) -> Vec<ExceptionEntry> {
    let events = events(world);
    blocking(move || {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let listed = events.list(&ParkedFilter::default()).unwrap();
            if listed.len() == count {
                return listed;
            }
            let (found, last) = (listed.len(), listed.last());
            assert!(
                Instant::now() < deadline,
                "{count} exceptions in time, not {found}, the last is {last:?}"
            );
        }
    })
    .await
}

fn shown(listed: &[ExceptionEntry]) -> Vec<(String, ExceptionState, Code, LastRelayed)> {
    let shown = |it: &ExceptionEntry| {
        let ExceptionEntry { event, exception, .. } = it;
        (event.to_string(), exception.state, exception.code, exception.last)
    };
    listed.iter().map(shown).collect()
}

pub(crate) fn of_stream(stream: &str) -> ParkedFilter {
    ParkedFilter { stream: Some(stream.to_owned()), ..ParkedFilter::default() }
}

pub(crate) fn of_event(event: &str) -> ParkedFilter {
    let EventReference { stream, revision } = event.parse().unwrap();
    ParkedFilter { revision: Some(revision), ..of_stream(stream.as_str()) }
}

/// Sends a request.
pub(crate) async fn send(world: &World, action: Action, selection: ParkedFilter) -> SentRequest {
    let events = events(world);
    blocking(move || events.request(action, selection)).await.unwrap()
}

/// Sends a request and waits until it is finished.
pub(crate) async fn request(world: &World, action: Action, selection: ParkedFilter) -> Answer {
    let events = events(world);
    blocking(move || {
        let sent = events.request(action, selection).unwrap();
        answered(sent, |it| it.state != RequestState::Running).1
    })
    .await
}

pub(crate) fn answer(state: RequestState, replayed: u64, discarded: u64, parked_again: u64) -> Answer {
    Answer { state, replayed, discarded, parked_again, reason: None, next_offset: None }
}

/// Revision and previous revision of each record of a stream, in the order of the topic.
async fn records_of(world: &World, count: usize, stream: &str) -> Vec<(u64, String)> {
    let records = world.records(count).await;
    assert_eq!(records.len(), count, "records in the topic");
    let of_stream = records.iter().filter(|it| it.key == stream);
    of_stream.map(|it| (it.revision(), it.headers[header::PREVIOUS_REVISION].clone())).collect()
}

fn chain(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs.iter().map(|(revision, previous)| (*revision, (*previous).to_owned())).collect()
}

/// The schemas after the fix: unknown fields are dropped.
pub(crate) async fn fix(world: &mut World) {
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas-fixed");
    world.schemas = Arc::new(SchemaSet::load(schemas).expect("schemas"));
    world.publish(&["Noted", "Closed"]).await;
}

/// Guarantee 6: a bad event is parked with the later events of its stream, which are replayed in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_event_is_parked_with_its_followers_and_replayed_after_the_fix() {
    let mut world = world(OnBadEvent::Park).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    world.append("note-1", "Noted", 2, BAD).await;
    world.append("note-2", "Noted", 2, GOOD).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    world.append("note-2", "Noted", 2, GOOD).await;
    let mut relay = world.start();
    assert_eq!(records_of(&world, 3, "note-2").await, chain(&[(0, "-1"), (1, "0")]), "other streams flow");
    let parked = listed(&world, 2).await;
    let (state, unknown) = (ExceptionState::Parked, LastRelayed::Unknown);
    let expected = [
        ("1@note-1".to_owned(), state, Code::Payload, LastRelayed::Revision(0)),
        ("2@note-1".to_owned(), state, Code::Blocked, unknown),
    ];
    assert_eq!(shown(&parked), expected);
    assert!(!parked[0].exception.reason.contains('7'), "{}", parked[0].exception.reason);

    let (events, long) = (events(&world), of_stream(&"x".repeat(40_000)));
    let refused = blocking(move || events.request(Action::Replay, long).err()).await.unwrap();
    assert!(refused.to_string().contains("a lane reads at most 32768"), "{refused}");

    // A replay before the fix changes nothing but the answer.
    let failed = request(&world, Action::Replay, of_stream("note-1")).await;
    assert_eq!((failed.state, failed.replayed, failed.parked_again), (RequestState::Done, 0, 1));
    assert!(failed.reason.unwrap().starts_with("1@note-1: payload: "));
    assert_eq!(shown(&listed(&world, 2).await), expected);
    relay.stop().await;

    fix(&mut world).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    relay = world.start();
    listed(&world, 3).await;
    let done = request(&world, Action::Replay, ParkedFilter::default()).await;
    assert_eq!(done, answer(RequestState::Done, 3, 0, 0));
    world.append("note-1", "Noted", 2, GOOD).await;
    let expected = chain(&[(0, "-1"), (1, "0"), (2, "1"), (3, "2"), (4, "3")]);
    assert_eq!(records_of(&world, 7, "note-1").await, expected);
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;

    // What was replayed stays as it is, and the checkpoint agrees with the topic although its last record is older.
    let mut relay = world.start();
    relay.ready().await;
    world.append("note-1", "Noted", 2, GOOD).await;
    world.assert_complete(8).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_event_is_recorded_and_its_stream_continues() {
    let world = world(OnBadEvent::Skip).await;
    for data in [BAD, BAD, GOOD, BAD, GOOD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let mut relay = world.start();
    assert_eq!(records_of(&world, 2, "note-1").await, chain(&[(2, "-1"), (4, "2")]));
    let expected = [(0, LastRelayed::None), (1, LastRelayed::None), (3, LastRelayed::Revision(2))]
        .map(|(revision, last)| (format!("{revision}@note-1"), ExceptionState::Skipped, Code::Payload, last));
    assert_eq!(shown(&listed(&world, 3).await), expected);
    relay.stop().await;

    // A lane that remembers nothing but the exceptions makes the same headers.
    world.append("note-1", "Noted", 2, BAD).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    relay = world.start();
    assert_eq!(records_of(&world, 3, "note-1").await, chain(&[(2, "-1"), (4, "2"), (6, "4")]));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_takes_the_selected_event_and_replays_what_follows() {
    let world = world(OnBadEvent::Park).await;
    for data in [GOOD, BAD, GOOD, BAD, GOOD, GOOD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 5).await;

    // An event behind a parked one can be discarded too; nothing is replayed then.
    let done = request(&world, Action::Discard, of_event("4@note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 0, 1, 0));
    let done = request(&world, Action::Discard, of_event("1@note-1")).await;
    assert_eq!((done.replayed, done.discarded, done.parked_again), (1, 1, 1));
    assert_eq!(records_of(&world, 2, "note-1").await, chain(&[(0, "-1"), (2, "0")]));
    let (parked, discarded) = (ExceptionState::Parked, ExceptionState::Discarded);
    let expected = [
        ("1@note-1".to_owned(), discarded, Code::Requested, LastRelayed::Revision(0)),
        ("3@note-1".to_owned(), parked, Code::Payload, LastRelayed::Revision(2)),
        ("4@note-1".to_owned(), discarded, Code::Requested, LastRelayed::Unknown),
        ("5@note-1".to_owned(), parked, Code::Blocked, LastRelayed::Unknown),
    ];
    assert_eq!(shown(&listed(&world, 4).await), expected);

    let done = request(
        &world,
        Action::Discard,
        ParkedFilter { code: Some(Code::Payload), ..ParkedFilter::default() },
    )
    .await;
    assert_eq!(done, answer(RequestState::Done, 1, 1, 0));
    world.append("note-1", "Noted", 2, GOOD).await;
    let expected = chain(&[(0, "-1"), (2, "0"), (5, "2"), (6, "5")]);
    assert_eq!(records_of(&world, 4, "note-1").await, expected);
    let states: BTreeMap<_, _> =
        listed(&world, 3).await.into_iter().map(|it| (it.event.revision, it.exception.state)).collect();
    assert_eq!(states, BTreeMap::from([(1, discarded), (3, discarded), (4, discarded)]));
    relay.stop().await;
}

/// A discard selects by the reasons that its sender has seen, also where it is executed in two parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_that_is_interrupted_discards_nothing_else() {
    let world = world(OnBadEvent::Park).await;
    for (stream, data) in [("note-1", BAD), ("note-1", BAD), ("note-2", GOOD), ("note-2", BAD)] {
        world.append(stream, "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 3).await;
    relay.stop().await;

    // The second stream cannot be read, so the first one is dealt with in a transaction of its own.
    let store = ScriptedStore::new(world.store.clone()).before(|call| match call {
        Call::ReadStreamBack(stream) if stream.as_str() == "note-2" => Err(call.fails("unreachable")),
        _ => Ok(()),
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    let selection = ParkedFilter { code: Some(Code::Payload), ..ParkedFilter::default() };
    let sent = send(&world, Action::Discard, selection).await;
    let (sent, first) = blocking(move || answered(sent, |it| it.parked_again > 0)).await;
    assert_eq!((first.state, first.discarded), (RequestState::Running, 1));
    relay.until("retrying", |status| status.not_ready().values().any(|it| it.contains("1@note-2"))).await;
    relay.stop().await;

    let relay = world.start();
    let (_, answer) = blocking(move || answered(sent, |it| it.state != RequestState::Running)).await;
    assert_eq!((answer.state, answer.discarded, answer.parked_again), (RequestState::Done, 2, 1));
    let states: Vec<_> = shown(&listed(&world, 3).await).into_iter().map(|it| (it.0, it.1)).collect();
    let (parked, discarded) = (ExceptionState::Parked, ExceptionState::Discarded);
    let expected = [("0@note-1", discarded), ("1@note-1", parked), ("1@note-2", discarded)];
    assert_eq!(states, expected.map(|(event, state)| (event.to_owned(), state)));
    relay.stop().await;
}

/// Guarantee 6: a replay that must wait does not stop the other streams, and those of its own keep their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_waits_does_not_stop_the_lane() {
    let mut world = world(OnBadEvent::Park).await;
    for data in [GOOD, BAD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 1).await;
    relay.stop().await;
    fix(&mut world).await;

    let reachable = Arc::new(AtomicBool::new(false));
    let store = ScriptedStore::new(world.store.clone()).before({
        let reachable = Arc::clone(&reachable);
        move |call| match call {
            Call::ReadStreamBack(stream)
                if stream.as_str() == "note-1" && !reachable.load(Ordering::Relaxed) =>
            {
                Err(call.fails("unreachable"))
            }
            _ => Ok(()),
        }
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    let sent = send(&world, Action::Replay, of_stream("note-1")).await;
    relay.until("retrying", |status| status.not_ready().values().any(|it| it.contains("1@note-1"))).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    world.append("note-2", "Noted", 2, GOOD).await;
    assert_eq!(records_of(&world, 2, "note-2").await, chain(&[(0, "-1")]));
    assert_eq!(listed(&world, 2).await[1].exception.code, Code::Blocked);

    reachable.store(true, Ordering::Relaxed);
    let (_, done) = blocking(move || answered(sent, |it| it.state != RequestState::Running)).await;
    assert_eq!(done, answer(RequestState::Done, 2, 0, 0));
    assert_eq!(records_of(&world, 4, "note-1").await, chain(&[(0, "-1"), (1, "0"), (2, "1")]));
    relay.ready().await;
    relay.stop().await;
}

/// `aqueduct parked park|skip`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_passes_one_event_of_a_halted_lane() {
    let world = world(OnBadEvent::Halt).await;
    for (stream, data) in [
        ("note-1", GOOD),
        ("note-1", BAD),
        ("note-1", GOOD),
        ("note-2", BAD),
        ("note-2", GOOD),
        ("note-3", GOOD),
    ] {
        world.append(stream, "Noted", 2, data).await;
    }
    let mut relay = world.start();
    let halted_at = |event: &'static str| {
        move |status: &aqueduct_relay::Status| status.not_ready().values().any(|it| it.contains(event))
    };
    relay.until("halted", halted_at("1@note-1")).await;
    // It waits for its event.
    let later = {
        let events = events(&world);
        let selection = of_event("0@note-2");
        blocking(move || events.request(Action::Park, selection)).await.unwrap()
    };
    let failed = request(&world, Action::Skip, of_event("0@note-1")).await;
    assert_eq!(failed.state, RequestState::Failed);
    assert!(failed.reason.unwrap().contains("has passed 0@note-1"));
    let failed = request(&world, Action::Skip, of_event("9@note-1")).await;
    assert!(failed.reason.unwrap().contains("no event 9@note-1"));

    let done = request(&world, Action::Skip, of_event("1@note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 0, 0, 0));
    assert_eq!(records_of(&world, 3, "note-1").await, chain(&[(0, "-1"), (2, "0")]));
    relay.ready().await;
    let answers = blocking(move || {
        let mut later = later;
        later.answers().unwrap()
    });
    assert_eq!(answers.await[&0], Some(answer(RequestState::Done, 0, 0, 0)));
    let expected = [
        ("1@note-1".to_owned(), ExceptionState::Skipped, Code::Requested, LastRelayed::Revision(0)),
        ("0@note-2".to_owned(), ExceptionState::Parked, Code::Requested, LastRelayed::None),
        ("1@note-2".to_owned(), ExceptionState::Parked, Code::Blocked, LastRelayed::Unknown),
    ];
    assert_eq!(shown(&listed(&world, 3).await), expected);
    relay.stop().await;
}

/// The store has delivered the event, but refuses to read its stream: it was deleted in the meantime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_read_stops_no_request() {
    let world = world(OnBadEvent::Halt).await;
    for data in [GOOD, BAD, GOOD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let store = ScriptedStore::new(world.store.clone()).before(|call| match call {
        Call::ReadStream(_) => Err(StoreError {
            kind: ErrorKind::Park,
            source: Some(StreamDeleted.into()),
            ..call.fails("deleted")
        }),
        _ => Ok(()),
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    relay.until("halted", |status| status.not_ready().values().any(|it| it.contains("1@note-1"))).await;
    let failed = request(&world, Action::Skip, of_event("2@note-1")).await;
    assert_eq!(failed.state, RequestState::Failed);
    let done = request(&world, Action::Skip, of_event("1@note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 0, 0, 0));
    assert_eq!(records_of(&world, 2, "note-1").await, chain(&[(0, "-1"), (2, "0")]));
    relay.ready().await;
    relay.stop().await;
}

const KILLS: usize = 20;

/// The relay is taken away in the middle of what it does, while new events arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_killed_is_finished_by_the_next_owner() {
    let mut world = world(OnBadEvent::Park).await;
    world.append("note-1", "Noted", 2, BAD).await;
    world.append_notes(3, 300).await;
    let relay = world.start();
    listed(&world, world.stored("note-1").await.len()).await;
    let mut seen = world.records(200).await.len();
    relay.stop().await;

    fix(&mut world).await;
    // One event in a transaction.
    world.options.batch_records = 3.try_into().unwrap();
    let sent = send(&world, Action::Replay, of_stream("note-1")).await;
    for _ in 0..KILLS {
        let relay = world.start();
        // Two of them are in the stream that is replayed.
        world.append_notes(3, 6).await;
        seen = world.records(seen + 4).await.len();
        relay.abort().await;
    }
    let relay = world.start();
    let answer = blocking(move || answered(sent, |it| it.state != RequestState::Running).1).await;
    assert_eq!((answer.state, answer.parked_again), (RequestState::Done, 0));
    world.assert_complete(301 + 6 * KILLS).await;
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

/// Waits for an answer. Asking takes as long as Kafka's answer does.
pub(crate) fn answered(mut sent: SentRequest, expected: impl Fn(&Answer) -> bool) -> (SentRequest, Answer) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match sent.answers().unwrap().remove(&0).flatten() {
            Some(answer) if expected(&answer) => return (sent, answer),
            answer => assert!(Instant::now() < deadline, "an answer in time, not {answer:?}"),
        }
    }
}

/// An installation that was set up before there were topics for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_topics_a_route_halts_or_says_what_to_do() {
    let mut world = world(OnBadEvent::Halt).await;
    // The topics of this prefix do not exist, but those of the checkpoint do.
    let prefix = format!("{}.old", world.cluster.prefix);
    create_topic(&world, &world.options.routes[0].checkpoint_topic(&prefix)).await;
    world.cluster.prefix = prefix;
    world.append("note-1", "Noted", 2, GOOD).await;
    let mut relay = world.start();
    world.assert_complete(1).await;
    relay.ready().await;
    world.append("note-1", "Noted", 2, r#"{"text":"x","colour":"red","size":"a secret"}"#).await;
    halted(&mut relay, world.route(), &["run `aqueduct setup` and restart the relay, then `aqueduct parked"])
        .await;
    let texts = relay.status.not_ready();
    assert!(!texts.values().any(|it| it.contains("secret")), "{texts:?}");
    relay.stop().await;

    world.options.on_bad_event = OnBadEvent::Park;
    let topic = world.options.routes[0].exceptions_topic(&world.cluster.prefix);
    let mut relay: Running = world.start();
    relay
        .until("halted", |status| {
            status.not_ready().values().any(|it| it.contains(&topic) && it.contains("aqueduct setup"))
        })
        .await;
    relay.stop().await;
}

/// Guarantee 7: a lost topic of exceptions is not taken for one without any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_exceptions_halt_the_lane() {
    let world = world(OnBadEvent::Park).await;
    world.append("note-1", "Noted", 2, BAD).await;
    world.append("note-2", "Noted", 2, BAD).await;
    let relay = world.start();
    listed(&world, 2).await;
    relay.stop().await;

    // A tombstone of another producer: the topic says less than the checkpoint.
    let topic = world.options.routes[0].exceptions_topic(&world.cluster.prefix);
    world.produce(&topic, "0@note-1", None);
    world.append("note-1", "Noted", 2, GOOD).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &[&topic, "holds 1 parked", "counts 2 parked"]).await;
    relay.stop().await;

    delete_topic(&world, &topic).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &[&topic, "aqueduct setup"]).await;
    create_topic(&world, &topic).await;
    halted(&mut relay, world.route(), &[&topic, "holds 0 parked", "counts 2 parked"]).await;
    relay.stop().await;
}

/// One line of a console producer halts the lane until a tombstone removes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_record_among_the_exceptions_is_removed_by_a_tombstone() {
    let world = world(OnBadEvent::Park).await;
    let topic = world.options.routes[0].exceptions_topic(&world.cluster.prefix);
    world.produce(&topic, "note-1", Some("hello"));
    world.append("note-1", "Noted", 2, GOOD).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &[&topic, "offset 0 that is not an exception", "tombstone"]).await;
    let events = events(&world);
    let refused = blocking(move || events.list(&ParkedFilter::default())).await.unwrap_err();
    assert!(refused.to_string().contains("not an exception"), "{refused}");

    world.produce(&topic, "note-1", None);
    world.assert_complete(1).await;
    relay.ready().await;
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

/// A parked event whose record is gone does not block its stream for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_event_without_its_record_is_read_from_the_store() {
    let mut world = world(OnBadEvent::Park).await;
    for (stream, data) in [("note-1", BAD), ("note-1", GOOD), ("note-2", BAD)] {
        world.append(stream, "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 3).await;
    relay.stop().await;
    let parked = world.options.routes[0].parked_topic(&world.cluster.prefix);
    delete_topic(&world, &parked).await;
    create_topic(&world, &parked).await;
    fix(&mut world).await;

    let relay = world.start();
    let incomplete = request(&world, Action::Replay, ParkedFilter::default()).await;
    assert_eq!((incomplete.state, incomplete.replayed), (RequestState::Failed, 0));
    let reason = incomplete.reason.unwrap();
    assert!(reason.contains(&parked) && reason.contains("3 parked events"), "{reason}");
    let done = request(&world, Action::Replay, of_stream("note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 2, 0, 0));
    assert_eq!(records_of(&world, 2, "note-1").await, chain(&[(0, "-1"), (1, "0")]));
    let done = request(&world, Action::Discard, of_stream("note-2")).await;
    assert_eq!(done, answer(RequestState::Done, 0, 1, 0));
    let states: Vec<_> = listed(&world, 1).await.into_iter().map(|it| it.exception.state).collect();
    assert_eq!(states, [ExceptionState::Discarded]);
    relay.stop().await;
}

/// An event that is too large for a record, whose stream is deleted in the meantime and restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_event_is_parked_as_a_reference() {
    let mut world = world(OnBadEvent::Park).await;
    world.options.max_record_bytes = 2_000.try_into().unwrap();
    let large = format!(r#"{{"text":"{}","colour":"red"}}"#, "x".repeat(5_000));
    for (stream, data) in [("note-1", large.as_str()), ("note-1", GOOD), ("note-2", BAD)] {
        world.append(stream, "Noted", 2, data).await;
    }
    let relay = world.start();
    let parked = listed(&world, 3).await;
    assert_eq!(parked[0].exception.code, Code::TooLarge);
    relay.stop().await;
    fix(&mut world).await;
    world.options.max_record_bytes = 10_000.try_into().unwrap();

    // The other streams of the lane are replayed all the same.
    let store = ScriptedStore::new(world.store.clone()).before(|call| match call {
        Call::ReadStream(_) => Err(StoreError {
            kind: ErrorKind::Park,
            source: Some(StreamDeleted.into()),
            ..call.fails("deleted")
        }),
        _ => Ok(()),
    });
    let relay = world.start_on(Arc::new(store), world.options.clone());
    let replayed = request(&world, Action::Replay, ParkedFilter::default()).await;
    assert_eq!((replayed.state, replayed.replayed, replayed.parked_again), (RequestState::Done, 1, 1));
    let reason = replayed.reason.unwrap();
    assert!(reason.starts_with("0@note-1: ") && reason.ends_with("discard it"), "{reason}");
    relay.stop().await;

    let relay = world.start();
    let done = request(&world, Action::Replay, ParkedFilter::default()).await;
    assert_eq!(done, answer(RequestState::Done, 2, 0, 0));
    let records = world.assert_complete(3).await;
    assert!(records.iter().any(|it| it.value.len() > 5_000), "the large event");
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

pub(crate) fn admin(world: &World) -> AdminClient<DefaultClientContext> {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", &world.cluster.brokers).create().unwrap()
}

/// Deletes a topic, and returns when it is gone.
pub(crate) async fn delete_topic(world: &World, topic: &str) {
    let admin = admin(world);
    admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
    let deadline = Instant::now() + DEADLINE;
    let exists = || {
        let metadata = admin.inner().fetch_metadata(None, DEADLINE).unwrap();
        metadata.topics().iter().any(|it| it.name() == topic)
    };
    while exists() {
        assert!(Instant::now() < deadline, "{topic} is deleted in time");
    }
}

pub(crate) async fn create_topic(world: &World, topic: &str) {
    let admin = admin(world);
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
}
