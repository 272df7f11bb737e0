//! The steps in which an owner executes requests: large streams, order, and who may record what.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_projection::parked::{self, ParkedFilter, Progress, ReasonCode};
use aqueduct_projection::{BatchProcessor, Projection, RequestStep};

use crate::bank::{Accounts, deposited};
use crate::parked::{INBOX, ROWS, TOO_MUCH, accounts, apply, execute_all, stream};
use crate::reactors::{BARRIER, Clerk, ClerkReactor, FAIL_TWICE};
use crate::support::{Database, Running, TestRecord, Topic, event, plain, stack};

const WORK: &str = "select action || ' ' || state || case when touched_at is null then ' untouched' else '' end \
                    from aqueduct.parked_work order by request";

const STATES: &str = "select state || ' ' || count(*) from aqueduct.parked group by state order by 1";

async fn reactor(database: &Database, clerk: &Arc<Clerk>) -> (BatchProcessor, i64) {
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    (batches, epoch)
}

/// Events of a stream with a gap that the last of them fills, which requests the replay: `second` is parked.
fn repaired(stream: &str, second: i64) -> [TestRecord; 4] {
    [(0, 1), (2, second), (3, 1), (1, 1)]
        .map(|(revision, amount)| event(stream, revision, &deposited(amount)))
}

/// Guarantee 3: more events are discarded than a step passes.
#[tokio::test]
async fn a_stream_opens_when_the_inbox_has_passed_all_discarded_events() {
    const DISCARDED: i64 = 1201;
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let deposit = |revision, amount| event("account-1", revision, &deposited(amount));
    let events: Vec<_> = (0..DISCARDED).map(|revision| deposit(revision, TOO_MUCH)).collect();
    apply(&accounts, 0, &events).await;
    let request = parked::discard(&database.pool, &ParkedFilter::default()).await.unwrap().unwrap();
    assert_eq!(request.events, DISCARDED);

    assert_eq!(accounts.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(STATES).await, ["discarded 1000", "parked 201"]);
    assert_eq!(accounts.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(STATES).await, ["discarded 1201"]);
    assert_eq!(database.texts(INBOX).await, ["account-1 -1 true"]);
    assert_eq!(accounts.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(INBOX).await, ["account-1 499 true"]);
    assert_eq!(accounts.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(INBOX).await, ["account-1 999 true"]);
    let redelivered = [deposit(1100, TOO_MUCH), deposit(DISCARDED, 1)];
    apply(&accounts, DISCARDED, &redelivered).await;
    execute_all(&accounts).await;
    apply(&accounts, DISCARDED + 2, &[deposit(1100, TOO_MUCH), deposit(DISCARDED + 1, 2)]).await;

    assert_eq!(database.texts(ROWS).await, ["1: 3 after 1201 1202 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 1202 false"]);
    assert_eq!(database.texts(STATES).await, ["discarded 1201"]);
    let progress = parked::progress(&database.pool, request.id).await.unwrap();
    assert_eq!(
        progress,
        Progress { done: 1, applied: 1, discarded: DISCARDED, ..Progress::default() },
        "the event that came meanwhile belongs to the replay"
    );
}

/// No event comes while the steps run.
#[tokio::test]
async fn a_stream_whose_events_are_all_discarded_accepts_new_events() {
    const DISCARDED: i64 = 1201;
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let deposit = |revision, amount| event("account-1", revision, &deposited(amount));
    let events: Vec<_> = (0..DISCARDED).map(|revision| deposit(revision, TOO_MUCH)).collect();
    apply(&accounts, 0, &events).await;
    parked::discard(&database.pool, &ParkedFilter::default()).await.unwrap();
    assert_eq!(execute_all(&accounts).await, 5);
    assert_eq!(database.texts(INBOX).await, ["account-1 1200 false"]);
    apply(&accounts, DISCARDED, &[deposit(700, TOO_MUCH), deposit(DISCARDED, 1)]).await;
    assert_eq!(database.texts(ROWS).await, ["1: 1 after 1201 "]);
}

/// A step reads the rows that it needs, not the stream.
#[tokio::test]
async fn a_step_of_a_long_stream_reads_only_its_own_rows() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    apply(&accounts, 0, &[event("account-1", 0, &deposited(TOO_MUCH))]).await;
    let followers = "insert into aqueduct.parked (projection, generation, source, topic, stream, revision, verdict, \
                                                  code, reason, partition, \"offset\", headers, state) \
                     select projection, generation, source, topic, stream, n, 'blocked', 'blocked', '', partition, \
                            n, headers, case when n <= 20000 then 'discarded' else 'parked' end \
                       from aqueduct.parked, generate_series(1, 40000) n; \
                     update aqueduct.inbox_streams set revision = 19000";
    sqlx::raw_sql(followers).execute(&database.pool).await.unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let rows_read = "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint \
                       from pg_stat_xact_user_tables where relid = 'aqueduct.parked'::regclass";
    let next = "select count(*) \
                  from aqueduct.inboxes i, aqueduct.parked_next(i.inbox, 'account-1', 500, 4000000)";
    for statistics in ["", "analyze aqueduct.parked"] {
        sqlx::raw_sql(statistics).execute(&mut *connection).await.unwrap();
        sqlx::raw_sql("begin").execute(&mut *connection).await.unwrap();
        let before: i64 = sqlx::query_scalar(rows_read).fetch_one(&mut *connection).await.unwrap();
        let rows: i64 = sqlx::query_scalar(next).fetch_one(&mut *connection).await.unwrap();
        let after: i64 = sqlx::query_scalar(rows_read).fetch_one(&mut *connection).await.unwrap();
        sqlx::raw_sql("commit").execute(&mut *connection).await.unwrap();
        assert_eq!(rows, 500);
        assert!((500..=1001).contains(&(after - before)), "{} rows read, {statistics:?}", after - before);
    }
}

/// A step is bounded in memory also where another producer wrote large headers.
#[tokio::test]
async fn headers_count_towards_the_bytes_of_a_step() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    apply(&accounts, 0, &[event("account-1", 0, &deposited(TOO_MUCH))]).await;
    let large = "insert into aqueduct.parked (projection, generation, source, topic, stream, revision, verdict, \
                                              code, reason, partition, \"offset\", headers, state) \
                 select projection, generation, source, topic, stream, nullif(n, n / 10 * 10), 'blocked', 'blocked', \
                        '', partition, n, jsonb_build_array(jsonb_build_object('name', 'x', 'value', \
                        repeat('0123456789', 100000))), 'parked' \
                   from aqueduct.parked, generate_series(1, 100) n";
    sqlx::raw_sql(large).execute(&database.pool).await.unwrap();
    let next =
        "select count(*) from aqueduct.inboxes i, aqueduct.parked_next(i.inbox, 'account-1', 500, 4100000)";
    assert_eq!(database.number(next).await, 5, "the first event is small");
    let without_revision = "select count(*) from aqueduct.inboxes i, \
                                                 aqueduct.parked_without_revision(i.inbox, 'account-1', 500, 4100000)";
    assert_eq!(database.number(without_revision).await, 4);
    let alone = "select count(*) from aqueduct.inboxes i, \
                                      aqueduct.parked_without_revision(i.inbox, 'account-1', 500, 1)";
    assert_eq!(database.number(alone).await, 1, "the first event may be larger");
}

#[tokio::test]
async fn a_request_that_fails_temporarily_does_not_delay_the_next() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::default());
    let reactor = reactor(&database, &clerk).await;
    apply(&reactor, 0, &repaired("account-1", FAIL_TWICE)).await;
    apply(&reactor, 4, &repaired("account-2", 1)).await;
    let error = reactor.0.execute_step().await.unwrap_err();
    assert_eq!(error.to_string(), "projection clerk: a step of a request for parked events failed");
    assert_eq!(database.texts(WORK).await, ["replay waiting", "replay waiting untouched"]);
    assert_eq!(reactor.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(WORK).await, ["replay waiting", "replay done"]);
    reactor.0.execute_step().await.unwrap_err();
    execute_all(&reactor).await;
    assert_eq!(database.texts(INBOX).await, ["account-1 3 false", "account-2 3 false"]);
}

#[tokio::test]
async fn discards_come_before_replays() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = ["account-1", "account-2"].map(|stream| event(stream, 0, &deposited(TOO_MUCH)));
    apply(&accounts, 0, &events).await;
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    parked::discard(&database.pool, &stream("account-2")).await.unwrap();
    assert_eq!(accounts.0.execute_step().await.unwrap(), RequestStep::Executed);
    assert_eq!(database.texts(WORK).await, ["replay waiting untouched", "discard waiting"]);
    assert_eq!(database.texts(STATES).await, ["discarded 1", "parked 1"]);
    execute_all(&accounts).await;
    assert_eq!(database.texts(WORK).await, ["replay failed", "discard done"]);
}

/// A replay and a second discard of a stream wait while a discard still has events of it to mark: the replay would
/// fail at one of them.
#[tokio::test]
async fn a_stream_is_replayed_after_its_discards() {
    const PARKED: i64 = 1100;
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events: Vec<_> =
        (0..=PARKED).map(|revision| event("account-1", revision, &deposited(TOO_MUCH))).collect();
    apply(&accounts, 0, &events).await;
    let last = ParkedFilter { revision: Some(PARKED.unsigned_abs()), ..stream("account-1") };
    parked::discard(&database.pool, &ParkedFilter { code: Some(ReasonCode::Blocked), ..stream("account-1") })
        .await
        .unwrap();
    parked::discard(&database.pool, &last).await.unwrap();
    parked::discard(&database.pool, &ParkedFilter { code: Some(ReasonCode::Row), ..stream("account-1") })
        .await
        .unwrap();
    parked::replay(&database.pool, &last).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(STATES).await, [format!("discarded {}", PARKED + 1)]);
    assert_eq!(database.texts(INBOX).await, [format!("account-1 {PARKED} false")]);
    assert_eq!(database.texts(WORK).await, ["discard done", "discard done", "discard done", "replay done"]);
}

/// Guarantee 2: a step fails permanently after the partition got another owner.
#[tokio::test]
async fn only_the_owner_records_that_a_request_failed() {
    let database = Database::create().await;
    let first = accounts(&database).await;
    apply(&first, 0, &[event("account-1", 0, &deposited(TOO_MUCH))]).await;
    parked::replay(&database.pool, &ParkedFilter::default()).await.unwrap();
    let broken = "alter function aqueduct.parked_next rename to parked_gone";
    sqlx::raw_sql(broken).execute(&database.pool).await.unwrap();
    let second = accounts(&database).await;
    first.0.execute_step().await.unwrap();
    assert_eq!(database.texts(WORK).await, ["replay waiting untouched"]);
    let step = first.0.execute_step().await.unwrap();
    assert_eq!(step, RequestStep::NothingToDo, "it has given the partition up");
    second.0.execute_step().await.unwrap();
    assert_eq!(database.texts(WORK).await, ["replay failed"]);
}

/// The partition is claimed again while the reactor handles an event of a replay.
#[tokio::test]
async fn a_replay_does_not_react_to_events_of_a_partition_that_it_lost() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::with_barrier(2));
    let reactor = reactor(&database, &clerk).await;
    apply(&reactor, 0, &repaired("account-1", BARRIER)).await;
    let claim = async {
        // The next one waits for the barrier.
        while clerk.seen("account-1").len() < 2 {
            tokio::task::yield_now().await;
        }
        reactor.0.claim("bank.0", 0).await.unwrap();
        clerk.pass_barrier().await;
    };
    let both = async { tokio::join!(reactor.0.execute_step(), claim).0 };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().unwrap();
    assert_eq!(clerk.seen("account-1"), ["0@account-1", "1@account-1", "2@account-1"]);
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 3);
}

/// A step waits for a lock of the partition: the process ends long before Postgres gives up.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_postgres_ends_at_shutdown() {
    let database = Database::create().await;
    let topic = Topic::create("bank.11", 1).await;
    topic.write(&[event("account-1", 0, &deposited(TOO_MUCH))]).await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let mut options = database.options_on(brokers, "waiting");
    options.postgres.timeout_seconds = 40;
    let running = Running::start(Projection::view::<Accounts<11>>(options, plain()));
    database.wait_for("select count(*) from aqueduct.parked", 1).await;
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("select from aqueduct.offsets for update").execute(&mut *lock).await.unwrap();
    parked::replay(&database.pool, &ParkedFilter::default()).await.unwrap();
    let waiting = "select count(*) from pg_stat_activity \
                    where datname = current_database() and wait_event_type = 'Lock' and query like '%offsets_hold%'";
    database.wait_for(waiting, 1).await;
    tokio::time::timeout(Duration::from_secs(20), running.stop()).await.unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(database.texts(WORK).await, ["replay waiting untouched"]);
}
