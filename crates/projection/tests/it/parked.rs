//! Parked events are replayed and discarded by the owner of their partition.

use aqueduct_projection::parked::{self, ParkedFilter, ParkedState, Progress, ReasonCode};
use aqueduct_projection::{BatchProcessor, Projection, RequestStep};
use std::sync::Arc;
use std::time::Duration;

use crate::bank::{Accounts, deposited, opened};
use crate::reactors::{Clerk, ClerkReactor};
use crate::support::{Database, Running, TestRecord, Topic, event, plain, records, stack};

pub(crate) const ROWS: &str =
    "select id || ': ' || balance || ' after ' || \"order\" from bank.accounts order by 1";
pub(crate) const PARKED: &str = "select coalesce(revision::text, '?') || '@' || stream || ' ' || state || ' ' || code \
                      from aqueduct.parked order by stream, revision, id";
pub(crate) const INBOX: &str =
    "select stream || ' ' || revision || ' ' || blocked from aqueduct.inbox order by 1";
/// The table rejects a balance of a million: with that, an event fails until the table is changed.
pub(crate) const TOO_MUCH: i64 = 1_000_000;
const FIX: &str = "alter table bank.accounts drop constraint accounts_balance_check";

pub(crate) async fn accounts(database: &Database) -> (BatchProcessor, i64) {
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    (batches, epoch)
}

pub(crate) async fn apply(
    (batches, epoch): &(BatchProcessor, i64),
    first_offset: i64,
    events: &[TestRecord],
) {
    batches.apply(records(*epoch, first_offset, events)).await.unwrap().unwrap();
}

/// Executes requests until there are none. Returns the number of steps.
pub(crate) async fn execute_all((batches, _): &(BatchProcessor, i64)) -> usize {
    execute_steps(batches).await
}

pub(crate) async fn execute_steps(batches: &BatchProcessor) -> usize {
    let mut steps = 0;
    while batches.execute_step().await.unwrap() == RequestStep::Executed {
        steps += 1;
        assert!(steps < 1000, "no end");
    }
    steps
}

pub(crate) async fn fix(database: &Database) {
    sqlx::raw_sql(FIX).execute(&database.pool).await.unwrap();
}

pub(crate) fn stream(name: &str) -> ParkedFilter {
    ParkedFilter { stream: Some(name.to_owned()), ..ParkedFilter::default() }
}

/// Guarantee 3: a replay fails, then succeeds while new events of the stream arrive.
#[tokio::test]
async fn a_replay_applies_a_stream_in_order_while_new_events_arrive() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let deposit = |revision, amount| event("account-1", revision, &deposited(amount));
    let other = event("account-2", 0, &opened("Rome"));
    apply(
        &accounts,
        0,
        &[event("account-1", 0, &opened("Paris")), deposit(1, TOO_MUCH), deposit(2, 1), other],
    )
    .await;
    let parked = ["1@account-1 parked row", "2@account-1 parked blocked"];
    assert_eq!(database.texts(PARKED).await, parked);

    let request = parked::replay(&database.pool, &stream("account-1")).await.unwrap().unwrap();
    assert_eq!((request.streams, request.events), (1, 2));
    let request = request.id;
    let progress = parked::progress(&database.pool, request).await.unwrap();
    assert_eq!(progress, Progress { waiting: 1, unseen: 1, ..Progress::default() }, "no owner has run");
    execute_all(&accounts).await;
    let progress = parked::progress(&database.pool, request).await.unwrap();
    assert_eq!((progress.failed, progress.applied), (1, 0));
    assert!(progress.problem.as_ref().unwrap().contains("accounts_balance_check"), "{progress:?}");
    assert_eq!(database.texts(PARKED).await, parked, "parked again, in order");

    fix(&database).await;
    let code = ParkedFilter { code: Some(ReasonCode::Row), ..ParkedFilter::default() };
    let request = parked::replay(&database.pool, &code).await.unwrap().unwrap().id;
    apply(&accounts, 4, &[deposit(3, 2)]).await;
    execute_all(&accounts).await;
    let progress = parked::progress(&database.pool, request).await.unwrap();
    assert_eq!((progress.done, progress.applied), (1, 3));
    apply(&accounts, 5, &[deposit(4, 3)]).await;
    assert_eq!(database.texts(ROWS).await, ["1: 1000006 after 0 1 2 3 4 ", "2: 0 after 0 "]);
    assert_eq!(database.texts(PARKED).await, Vec::<String>::new());
    assert_eq!(database.texts(INBOX).await, ["account-1 4 false", "account-2 0 false"]);
}

/// Guarantees 1 to 3: the owner is killed during a replay of many followers, and another one continues; what
/// the first one still does is rejected.
#[tokio::test]
async fn a_replay_continues_after_its_owner_was_killed() {
    const FOLLOWERS: i64 = 1200;
    let database = Database::create().await;
    let first = accounts(&database).await;
    let events: Vec<_> = (0..=FOLLOWERS)
        .map(|revision| event("account-1", revision, &deposited(if revision == 0 { TOO_MUCH } else { 1 })))
        .collect();
    apply(&first, 0, &events).await;
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, FOLLOWERS + 1);
    fix(&database).await;
    parked::replay(&database.pool, &ParkedFilter::default()).await.unwrap();
    assert_eq!(first.0.execute_step().await.unwrap(), RequestStep::Executed);
    let left = database.number("select count(*) from aqueduct.parked").await;
    assert!(left > 0 && left < FOLLOWERS, "{left}");

    let second = accounts(&database).await;
    first.0.execute_step().await.unwrap();
    assert_eq!(
        database.number("select count(*) from aqueduct.parked").await,
        left,
        "the first owner is fenced"
    );
    execute_all(&second).await;
    let order: String = (0..=FOLLOWERS).map(|revision| format!("{revision} ")).collect();
    assert_eq!(database.texts("select \"order\" from bank.accounts").await, [order]);
    assert_eq!(database.texts(INBOX).await, [format!("account-1 {FOLLOWERS} false")]);
}

/// A discarded event is skipped permanently, its followers are applied, and its row stays.
#[tokio::test]
async fn a_discard_moves_the_inbox_and_replays_the_followers() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-1", 1, &deposited(666)),
        event("account-1", 2, &deposited(5)),
    ];
    apply(&accounts, 0, &events).await;
    let one = ParkedFilter { revision: Some(1), ..stream("account-1") };
    let request = parked::discard(&database.pool, &one).await.unwrap().unwrap();
    assert_eq!((request.streams, request.events), (1, 1));
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 5 after 0 2 "]);
    assert_eq!(database.texts(PARKED).await, ["1@account-1 discarded panic"]);
    let listed = parked::list(&database.pool, &one, 0, 1).await.unwrap();
    assert_eq!((listed[0].state, listed[0].code), (ParkedState::Discarded, ReasonCode::Panic));
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
    let progress = parked::progress(&database.pool, request.id).await.unwrap();
    assert_eq!((progress.done, progress.applied, progress.discarded), (1, 1, 1));
    let outcome = accounts.0.apply(records(accounts.1, 1, &events[1..2])).await.unwrap().unwrap();
    assert_eq!(outcome.duplicates, 1);
}

/// A record whose revision cannot be read is discarded: it is taken for the missing one.
#[tokio::test]
async fn the_discard_of_an_unreadable_record_explains_the_gap() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let unreadable = TestRecord { without: Some("ce_revision"), ..event("account-1", 1, &deposited(1)) };
    apply(
        &accounts,
        0,
        &[event("account-1", 0, &opened("Paris")), unreadable, event("account-1", 2, &deposited(5))],
    )
    .await;
    let headers = ParkedFilter { code: Some(ReasonCode::Headers), ..ParkedFilter::default() };
    parked::discard(&database.pool, &headers).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 5 after 0 2 "]);
    assert_eq!(database.texts(PARKED).await, ["1@account-1 discarded headers"]);
}

/// A gap is repaired without a request when the missing event arrives.
#[tokio::test]
async fn a_gap_is_repaired_when_the_missing_event_arrives() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let deposit = |revision| event("account-1", revision, &deposited(1));
    apply(&accounts, 0, &[deposit(0), deposit(2), deposit(3)]).await;
    assert_eq!(execute_all(&accounts).await, 0, "nothing can be repaired yet");
    apply(&accounts, 3, &[deposit(1)]).await;
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 4 after 0 1 2 3 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 3 false"]);
}

/// A reactor's parked events are handled in order, and one that fails again stays.
#[tokio::test]
async fn a_reactor_replays_until_an_event_fails_again() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::default());
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(&clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let reactor = (batches, epoch);
    let events = [
        event("account-1", 0, &deposited(1)),
        event("account-1", 2, &deposited(1)),
        event("account-1", 3, &deposited(-1)),
        event("account-1", 4, &deposited(1)),
        event("account-1", 1, &deposited(1)),
    ];
    apply(&reactor, 0, &events).await;
    execute_all(&reactor).await;
    assert_eq!(clerk.seen("account-1"), ["0@account-1", "1@account-1", "2@account-1"]);
    assert_eq!(database.texts(PARKED).await, ["3@account-1 parked reaction", "4@account-1 parked blocked"]);
}

#[tokio::test]
async fn parked_events_are_listed_and_shown() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = [
        event("account-1", 0, &deposited(666)),
        event("account-1", 1, &deposited(1)),
        event("account-2", 0, &deposited(666)),
    ];
    apply(&accounts, 0, &events).await;
    let pool = &database.pool;
    let listed = parked::list(pool, &stream("account-1"), 0, 10).await.unwrap();
    let codes: Vec<_> =
        listed.iter().map(|event| (event.revision, event.code, event.state, event.offset)).collect();
    assert_eq!(
        codes,
        [
            (Some(0), ReasonCode::Panic, ParkedState::Parked, 0),
            (Some(1), ReasonCode::Blocked, ParkedState::Parked, 1)
        ]
    );
    let times = "select to_char(parked_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') \
                   from aqueduct.parked where stream = 'account-1' order by id";
    let parked_at: Vec<_> = listed.iter().map(|event| format!("{:.3}", event.parked_at)).collect();
    assert_eq!(parked_at, database.texts(times).await);
    let rest = parked::list(pool, &ParkedFilter::default(), listed[0].id, 1).await.unwrap();
    assert_eq!(rest.len(), 1);
    let old = ParkedFilter { older_than: Some(Duration::from_secs(3600)), ..ParkedFilter::default() };
    assert_eq!(parked::list(pool, &old, 0, 10).await.unwrap(), []);
    assert_eq!(parked::replay(pool, &old).await.unwrap(), None);
    let shown = parked::show(pool, listed[0].id).await.unwrap().unwrap();
    assert_eq!(shown.payload.as_deref(), Some(&*events[0].payload));
    assert_eq!(shown.headers, events[0].headers());
    assert_eq!(parked::show(pool, 0).await.unwrap(), None);
}

/// A projection that runs on Kafka executes requests between its batches.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_projection_executes_requests() {
    let database = Database::create().await;
    let topic = Topic::create("bank.10", 1).await;
    let deposit = |revision, amount| event("account-1", revision, &deposited(amount));
    topic.write(&[deposit(0, TOO_MUCH), deposit(1, 1), deposit(2, 1)]).await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let options = database.options_on(brokers, "requests");
    let running = Running::start(Projection::view::<Accounts<10>>(options, plain()));
    database.wait_for("select count(*) from aqueduct.parked", 3).await;
    fix(&database).await;
    parked::replay(&database.pool, &ParkedFilter::default()).await.unwrap();
    database.wait_for("select count(*) from aqueduct.parked", 0).await;
    topic.write(&[deposit(3, 1)]).await;
    database.wait_for("select coalesce(sum(balance), 0)::bigint from bank.accounts", TOO_MUCH + 3).await;
    assert_eq!(database.texts("select \"order\" from bank.accounts").await, ["0 1 2 3 "]);
    running.stop().await;
}
