//! Projectors: code of the user that runs in the transaction of its batch.

use aqueduct_projection::{BatchProcessor, Envelope, Key, Outcome, ProjectError, Projection, Projector};
use sqlx::PgConnection;

use crate::bank::{BankEvent, Deposited, deposited};
use crate::support::{Database, TestRecord, event, forbid_single_statements, plain, records};

/// Adds each deposit to the two branches that its stream names, `account-<branch>-<branch>-<number>`: by reading, adding and
/// writing, which loses what another transaction adds in between.
struct Totals;

const REJECTED: i64 = -1;
const PANIC: i64 = -2;
const NOT_FOUND: i64 = -3;
const OUT_OF_RANGE: i64 = -4;
const SWALLOWED: i64 = -5;
const ENDED: i64 = -6;

fn branches(envelope: &Envelope) -> Vec<&str> {
    envelope.stream.as_str().split('-').skip(1).take(2).collect()
}

impl Projector for Totals {
    const NAME: &'static str = "totals";
    const TOPICS: &'static [&'static str] = &["bank.0"];
    type Event = BankEvent;

    fn locks(_: &BankEvent, envelope: &Envelope) -> Vec<Key> {
        branches(envelope).into_iter().map(|branch| Key::from([branch])).collect()
    }

    async fn project(
        event: &BankEvent,
        envelope: &Envelope,
        connection: &mut PgConnection,
    ) -> Result<(), ProjectError> {
        let BankEvent::Deposited(Deposited { amount }) = event else { return Ok(()) };
        match *amount {
            REJECTED => return Err(ProjectError::Rejected("it is a joke".to_owned())),
            PANIC => panic!("on purpose"),
            NOT_FOUND => {
                let missing = sqlx::query("select from bank.branches where branch = 'nowhere'");
                missing.fetch_one(&mut *connection).await?;
            }
            SWALLOWED => drop(sqlx::query("select 1 / 0").execute(&mut *connection).await),
            ENDED => {
                sqlx::raw_sql("commit; begin").execute(&mut *connection).await?;
            }
            OUT_OF_RANGE => {
                sqlx::query("select 1 / 0").execute(&mut *connection).await?;
            }
            _ => {}
        }
        if *amount < 0 {
            return Ok(());
        }
        for branch in branches(envelope) {
            let before = sqlx::query_scalar("select deposits from bank.branches where branch = $1")
                .bind(branch)
                .fetch_optional(&mut *connection);
            let before: i64 = before.await?.unwrap_or(0);
            sqlx::query(
                "insert into bank.branches (day, branch, deposits, amount) values ('2010-12-01', $1, $2, 0)
                 on conflict (day, branch) do update set deposits = excluded.deposits",
            )
            .bind(branch)
            .bind(before + amount)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

const ROWS: &str = "select branch || ' ' || deposits from bank.branches order by 1";

async fn start(database: &Database) -> BatchProcessor {
    Projection::projector::<Totals>(database.options(), plain()).batch_processor().await.unwrap()
}

/// Guarantees 1 to 3, on the way of a batch that needs no verdicts and on the other one.
#[tokio::test]
async fn each_event_is_applied_once_in_the_order_of_its_stream() {
    for needs_verdicts in [false, true] {
        let database = Database::create().await;
        let totals = start(&database).await;
        if needs_verdicts {
            forbid_single_statements(&database).await;
        }
        let epoch = totals.claim("bank.0", 0).await.unwrap().epoch;
        let events: Vec<_> =
            (0..20).map(|revision| event("account-oslo-rome-1", revision, &deposited(1))).collect();
        let outcome = totals.apply(records(epoch, 0, &events)).await.unwrap();
        assert_eq!(outcome, Some(Outcome { applied: 20, ..Outcome::default() }));
        let again = totals.apply(records(epoch, 20, &events[10..])).await.unwrap();
        assert_eq!(again, Some(Outcome { duplicates: 10, ..Outcome::default() }));
        assert_eq!(database.texts(ROWS).await, ["oslo 20", "rome 20"]);
    }
}

/// Guarantee 6: what cannot be applied is parked with its followers, and nothing of it stays.
#[tokio::test]
async fn only_the_stream_of_an_event_that_cannot_be_applied_is_parked() {
    let database = Database::create().await;
    let totals = start(&database).await;
    let epoch = totals.claim("bank.0", 0).await.unwrap().epoch;
    let bad = [REJECTED, PANIC, NOT_FOUND, OUT_OF_RANGE];
    let bad =
        bad.into_iter().map(|amount| event(&format!("account-oslo-rome{amount}"), 0, &deposited(amount)));
    let events: Vec<_> = bad
        .chain([
            event("account-oslo-rome-1", 1, &deposited(1)),
            event("account-oslo-paris-9", 0, &deposited(7)),
        ])
        .collect();
    let outcome = totals.apply(records(epoch, 0, &events)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, parked: 5, ..Outcome::default() }));
    assert_eq!(database.texts(ROWS).await, ["oslo 7", "paris 7"]);
    let parked = "select code || ': ' || reason from aqueduct.parked order by id";
    let parked = database.texts(parked).await;
    let expected = [
        "the projector rejected the event: it is a joke",
        "the projection's code panicked: on purpose",
        "the projector rejected the event: a row that it needs was not found",
        "reading or writing the rows failed: error returned from database: division by zero",
        "blocked: ",
    ];
    for (parked, expected) in parked.iter().zip(expected) {
        assert!(parked.contains(expected), "{parked}");
    }
}

/// Promise: an event is not taken for applied because the code went on after a statement that had failed.
#[tokio::test]
async fn an_error_that_was_swallowed_parks_the_event() {
    let database = Database::create().await;
    let totals = start(&database).await;
    let epoch = totals.claim("bank.0", 0).await.unwrap().epoch;
    let events = [
        event("account-oslo-rome-1", 0, &deposited(7)),
        event("account-oslo-rome-2", 0, &deposited(SWALLOWED)),
    ];
    let outcome = totals.apply(records(epoch, 0, &events)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, parked: 1, ..Outcome::default() }));
    assert_eq!(database.texts(ROWS).await, ["oslo 7", "rome 7"]);
    let reason = database.texts("select reason from aqueduct.parked").await;
    assert!(reason[0].contains("went on after a statement that had failed"), "{reason:?}");
}

/// Nothing can be undone then: a person must look at it.
#[tokio::test]
async fn code_that_ends_the_transaction_halts_the_projection() {
    let database = Database::create().await;
    let totals = start(&database).await;
    let epoch = totals.claim("bank.0", 0).await.unwrap().epoch;
    let error = totals.apply(records(epoch, 0, &[event("account-oslo-rome-1", 0, &deposited(ENDED))])).await;
    let error = format!("{:?}", error.unwrap_err());
    assert!(error.contains("TransactionEnded"), "{error}");
}

/// What a projector reads stays as it is until its transaction ends, in rows that do not exist yet too; and batches that take
/// the same keys in another order do not deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_two_partitions_lose_no_update() {
    let database = Database::create().await;
    let totals = start(&database).await;
    add_in_two_partitions(&totals).await;
    assert_eq!(database.texts(ROWS).await, ["oslo 400", "rome 400"]);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

/// 200 events in each partition, in batches of ten that run at the same time.
async fn add_in_two_partitions(totals: &BatchProcessor) {
    let batches = async |partition: i32, stream: &str| {
        let epoch = totals.claim("bank.0", partition).await.unwrap().epoch;
        for first in (0..200).step_by(10) {
            let events: Vec<TestRecord> =
                (first..first + 10).map(|revision| event(stream, revision, &deposited(1))).collect();
            let mut records = records(epoch, first, &events);
            records.iter_mut().for_each(|record| record.partition = partition);
            let outcome = totals.apply(records).await.unwrap().unwrap();
            assert_eq!(outcome.applied, 10);
        }
    };
    tokio::join!(batches(0, "account-oslo-rome-1"), batches(1, "account-rome-oslo-2"));
}
