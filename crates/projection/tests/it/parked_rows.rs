//! Rows of parked events that a request finds in an unusual state: unreadable headers, gaps behind a discarded event,
//! requests that ended long ago.

use std::time::Duration;

use aqueduct_projection::BatchProcessor;
use aqueduct_projection::parked::{self, ParkedFilter, Progress, ReasonCode};
use sqlx::PgPool;

use crate::bank::{deposited, opened};
use crate::parked::{INBOX, PARKED, ROWS, accounts, apply, execute_all, stream};
use crate::support::{Database, TestRecord, event};

fn deposit(revision: i64, amount: i64) -> TestRecord {
    event("account-1", revision, &deposited(amount))
}

/// An event that the projection cannot apply.
const BAD: i64 = 666;

/// Guarantee 3: a later version of the projection reads headers that an earlier one could not read. The event then
/// has a revision, and is applied at its place and not behind its followers.
#[tokio::test]
async fn an_event_whose_headers_become_readable_is_replayed_in_order() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let unreadable = || TestRecord { without: Some("ce_revision"), ..deposit(1, 10) };
    let events = [event("account-1", 0, &opened("Paris")), unreadable(), deposit(2, 5), unreadable()];
    apply(&accounts, 0, &events).await;
    assert_eq!(
        database.texts(PARKED).await,
        ["2@account-1 parked blocked", "?@account-1 parked headers", "?@account-1 parked blocked"]
    );
    let readable = "update aqueduct.parked \
                       set headers = headers || '[{\"name\": \"ce_revision\", \"value\": \"1\"}]' \
                     where revision is null";
    sqlx::raw_sql(readable).execute(&database.pool).await.unwrap();
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 15 after 0 1 2 "]);
    assert_eq!(database.texts(PARKED).await, Vec::<String>::new());
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
}

/// Guarantee 7: of two events under one revision none is lost, whenever the revision can be read.
#[tokio::test]
async fn another_event_whose_headers_become_readable_is_parked_alone() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let unreadable = |revision, id: &str| TestRecord {
        without: Some("ce_revision"),
        more: vec![("ce_eventid", id.to_owned()), ("was", revision)],
        ..deposit(1, 10)
    };
    let known = TestRecord { more: vec![("ce_eventid", "c".to_owned())], ..deposit(2, 5) };
    let one = || "1".to_owned();
    let events = [
        event("account-1", 0, &opened("Paris")),
        unreadable(one(), "b"),
        unreadable(one(), "other"),
        unreadable(one(), "b"),
        known,
        unreadable("2".to_owned(), "another"),
    ];
    apply(&accounts, 0, &events).await;
    let readable = "update aqueduct.parked \
                       set headers = headers || jsonb_build_array(jsonb_build_object('name', 'ce_revision', 'value', \
                               jsonb_path_query_first(headers, '$[*] ? (@.name == \"was\")') ->> 'value')) \
                     where revision is null";
    sqlx::raw_sql(readable).execute(&database.pool).await.unwrap();
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 15 after 0 1 2 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
    let parked = "select reason from aqueduct.parked where code = 'conflict' order by id";
    assert_eq!(
        database.texts(parked).await,
        [
            "bank.0/0@2: another event came before it under revision 1 of the stream",
            "bank.0/0@5: another event came before it under revision 2 of the stream"
        ]
    );
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 2);
}

/// Guarantee 2: which discarded record stands for a missing one is decided by the owner of the partition alone.
#[tokio::test]
async fn only_the_owner_explains_a_gap_by_a_discarded_record() {
    let database = Database::create().await;
    let first = accounts(&database).await;
    let unreadable = TestRecord { without: Some("ce_revision"), ..deposit(1, 1) };
    apply(&first, 0, &[deposit(0, 1), unreadable, deposit(2, 1)]).await;
    let discard = "update aqueduct.parked set state = 'discarded' where code = 'headers'";
    sqlx::raw_sql(discard).execute(&database.pool).await.unwrap();
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();

    let second = accounts(&database).await;
    first.0.execute_step().await.unwrap();
    let rows = ["2@account-1 parked blocked", "?@account-1 discarded headers"];
    assert_eq!(database.texts(PARKED).await, rows);
    execute_all(&second).await;
    assert_eq!(database.texts(PARKED).await, ["1@account-1 discarded headers"]);
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
}

/// Guarantee 7: whoever discards all parked events of a stream cannot see that one is missing between them, so that
/// gap is reported and not skipped.
#[tokio::test]
async fn a_discard_does_not_skip_an_undetected_gap() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = [deposit(0, 1), deposit(1, BAD), deposit(2, 1), deposit(4, 1), deposit(5, 1)];
    apply(&accounts, 0, &events).await;
    let all = parked::discard(&database.pool, &stream("account-1")).await.unwrap().unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(INBOX).await, ["account-1 2 true"]);
    assert_eq!(
        database.texts(PARKED).await,
        [
            "1@account-1 discarded panic",
            "2@account-1 discarded blocked",
            "4@account-1 parked gap",
            "5@account-1 discarded blocked"
        ]
    );
    let Progress { failed, discarded, problem, .. } = parked::progress(&database.pool, all.id).await.unwrap();
    assert_eq!((failed, discarded), (1, 3));
    assert!(problem.as_ref().unwrap().contains("revision 3 before it is missing"), "{problem:?}");

    let gap = ParkedFilter { code: Some(ReasonCode::Gap), ..ParkedFilter::default() };
    let gap = parked::discard(&database.pool, &gap).await.unwrap().unwrap();
    execute_all(&accounts).await;
    let progress = parked::progress(&database.pool, gap.id).await.unwrap();
    assert_eq!((progress.done, progress.discarded), (1, 1), "a gap that was seen is skipped");
    assert_eq!(database.texts(INBOX).await, ["account-1 5 false"]);
    apply(&accounts, 5, &[deposit(6, 2)]).await;
    assert_eq!(database.texts(ROWS).await, ["1: 3 after 0 6 "]);
}

/// As above, but the missing event arrives: it is applied, and so is the event that was parked again.
#[tokio::test]
async fn a_gap_behind_a_discarded_event_is_repaired_when_the_missing_event_arrives() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    apply(&accounts, 0, &[deposit(0, 1), deposit(1, BAD), deposit(3, 1), deposit(4, 1)]).await;
    parked::discard(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(INBOX).await, ["account-1 1 true"]);
    apply(&accounts, 4, &[deposit(2, 1), deposit(5, 1)]).await;
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 4 after 0 2 3 5 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 5 false"]);
}

/// Parks an event each of two streams. The first is discarded; a replay of the second, which fails, is requested.
async fn ended_and_waiting_request(accounts: &(BatchProcessor, i64), pool: &PgPool) -> (i64, i64) {
    let other = event("account-2", 0, &deposited(BAD));
    apply(accounts, 0, &[deposit(0, BAD), other]).await;
    let ended = parked::discard(pool, &stream("account-1")).await.unwrap().unwrap().id;
    execute_all(accounts).await;
    let waiting = parked::replay(pool, &stream("account-2")).await.unwrap().unwrap().id;
    (ended, waiting)
}

#[tokio::test]
async fn requests_that_ended_a_week_ago_are_removed() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let pool = &database.pool;
    let (ended, waiting) = ended_and_waiting_request(&accounts, pool).await;
    let age = "update aqueduct.parked_requests set requested_at = now() - interval '8 days'; \
               update aqueduct.parked_work set touched_at = touched_at - interval '6 days'";
    sqlx::raw_sql(age).execute(pool).await.unwrap();
    let requests = "select request::text from aqueduct.parked_requests order by request";
    let third = parked::replay(pool, &stream("account-2")).await.unwrap().unwrap().id;
    assert_eq!(
        database.texts(requests).await,
        [ended, waiting, third].map(|request| request.to_string()),
        "it ended six days ago"
    );

    let age = "update aqueduct.parked_work set touched_at = touched_at - interval '2 days'";
    sqlx::raw_sql(age).execute(pool).await.unwrap();
    let fourth = parked::replay(pool, &stream("account-2")).await.unwrap().unwrap().id;
    assert_eq!(database.texts(requests).await, [waiting, third, fourth].map(|request| request.to_string()));
    let left = "select count(*) from aqueduct.parked_discards";
    assert_eq!(database.number(left).await, 0);
    assert_eq!(parked::progress(pool, ended).await.unwrap(), Progress::default());
}

/// A stream that fails again and again, as where a foreign record blocks it, must not collect requests.
#[tokio::test]
async fn a_replay_that_fails_removes_requests_that_ended_a_week_ago() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let pool = &database.pool;
    let (_, failing) = ended_and_waiting_request(&accounts, pool).await;
    let age = "update aqueduct.parked_requests set requested_at = now() - interval '8 days'; \
               update aqueduct.parked_work set touched_at = touched_at - interval '8 days'";
    sqlx::raw_sql(age).execute(pool).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(parked::progress(pool, failing).await.unwrap().failed, 1);
    let requests = "select request::text from aqueduct.parked_requests";
    assert_eq!(database.texts(requests).await, [failing.to_string()]);
}

#[tokio::test]
async fn no_event_is_older_than_any_age() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    apply(&accounts, 0, &[deposit(0, BAD)]).await;
    for older_than in [Duration::from_secs(3_600), Duration::MAX] {
        let selection = ParkedFilter { older_than: Some(older_than), ..ParkedFilter::default() };
        assert_eq!(parked::list(&database.pool, &selection, 0, 10).await.unwrap(), []);
    }
}
