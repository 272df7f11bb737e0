//! Projections of a process that share a consumer. Guarantees 1 to 3: nothing is lost, nothing is duplicated, order holds.

use std::sync::LazyLock;

use aqueduct_projection::{Options, Projection, metrics as names};

use crate::bank::{Accounts, Branches, deposited};
use crate::support::{Database, Running, TestRecord, Topic, event, eventually, plain, stack};
use crate::telemetry::METRICS;

const ACCOUNTS: i64 = 40;
const PARTITIONS: i64 = 4;
const BALANCES: &str = "select coalesce(sum(balance), 0)::bigint from bank.accounts";
const DEPOSITS: &str = "select coalesce(sum(deposits), 0)::bigint from bank.branches";
/// Accounts whose events are not just `0 1 2 …`.
const DISORDERED: &str = "select count(*) from bank.accounts where \"order\" <> \
    (select string_agg(n || ' ', '' order by n) from generate_series(0, balance::bigint - 1) n)";

/// The events of all accounts at these revisions.
fn events(revisions: std::ops::Range<i64>) -> Vec<TestRecord> {
    let of_all =
        |revision| (0..ACCOUNTS).map(move |n| event(&format!("account-a-{n}"), revision, &deposited(1)));
    revisions.flat_map(of_all).collect()
}

/// Waits until so many partitions of a projection are read through the shared consumer.
async fn wait_for_shared(projection: &str, expected: impl Fn(i64) -> bool) {
    let label = format!("{}{{projection=\"{projection}\"}}", names::SHARED_PARTITIONS);
    let is_met = async || {
        let rendered = METRICS.render();
        let line = rendered.lines().find(|line| line.starts_with(&label));
        let shared = line.and_then(|line| line.rsplit(' ').next()).and_then(|number| number.parse().ok());
        if shared.is_some_and(&expected) { Ok(()) } else { Err(format!("{projection} shares {shared:?}")) }
    };
    eventually(is_met).await.unwrap();
}

fn start(options: &Options) -> [Running; 2] {
    let mut projections = [
        Projection::view::<Accounts<14>>(options.clone(), plain()),
        Projection::deltas::<Branches<14>>(options.clone(), plain()),
    ];
    Projection::share_consumers(&mut projections);
    projections.map(Running::start)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_projection_is_let_go_and_returns_and_partitions_move_between_processes() {
    LazyLock::force(&METRICS);
    let database = Database::create().await;
    let topic = Topic::create("bank.14", PARTITIONS as i32).await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let options = Options {
        batch_size: 10,
        queue_size: 20,
        session_timeout_ms: 6000,
        ..database.options_on(brokers, "shared")
    };
    topic.write(&events(0..5)).await;
    let first = start(&options);
    for projection in ["accounts", "branches"] {
        wait_for_shared(projection, |partitions| partitions == PARTITIONS).await;
    }
    topic.write(&events(5..10)).await;
    database.wait_for(BALANCES, ACCOUNTS * 10).await;
    database.wait_for(DEPOSITS, ACCOUNTS * 10).await;

    // One cannot write: the shared consumer does not wait for it.
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table bank.accounts in exclusive mode").execute(&mut *lock).await.unwrap();
    topic.write(&events(10..30)).await;
    wait_for_shared("accounts", |partitions| partitions < PARTITIONS).await;
    database.wait_for(DEPOSITS, ACCOUNTS * 30).await;
    wait_for_shared("branches", |partitions| partitions == PARTITIONS).await;
    lock.rollback().await.unwrap();
    database.wait_for(BALANCES, ACCOUNTS * 30).await;
    wait_for_shared("accounts", |partitions| partitions == PARTITIONS).await;

    // A second process takes half of the partitions, and gives them back.
    let second = start(&options);
    topic.write(&events(30..40)).await;
    for projection in ["accounts", "branches"] {
        wait_for_shared(projection, |partitions| partitions == PARTITIONS / 2).await;
    }
    topic.write(&events(40..50)).await;
    for projection in second {
        projection.stop().await;
    }
    topic.write(&events(50..60)).await;
    database.wait_for(BALANCES, ACCOUNTS * 60).await;
    database.wait_for(DEPOSITS, ACCOUNTS * 60).await;

    assert_eq!(database.number(DISORDERED).await, 0);
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    for projection in first {
        projection.stop().await;
    }
}
