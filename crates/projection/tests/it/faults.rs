//! Faults of the environment, on a real Kafka.

use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_kafka::Cluster;
use aqueduct_projection::{MissingOffset, Options, PostgresOptions, Projection, ProjectionError, Status};
use tokio_util::sync::CancellationToken;

use crate::bank::{Accounts, Branches, deposited};
use crate::support::{Database, Running, TestRecord, Topic, event, plain, stack, wait_for_status};

/// Options of one instance. The prefix gives each test a group of its own.
fn options(database: &Database, brokers: &str, test: &str) -> Options {
    let postgres = PostgresOptions { timeout_seconds: 5, ..PostgresOptions::new(&database.url) };
    Options { postgres, session_timeout_ms: 6000, ..database.options_on(brokers, test) }
}

/// `streams` streams, each with the events of these revisions, one after the other.
fn history(streams: usize, revisions: std::ops::Range<i64>) -> Vec<TestRecord> {
    let events =
        |revision| (0..streams).map(move |n| event(&format!("account-{n}"), revision, &deposited(1)));
    revisions.flat_map(events).collect()
}

async fn ready(status: &Status) {
    wait_for_status(status.clone(), "ready", |problem| problem.is_none()).await;
}

async fn names(status: &Status, server: &str) {
    wait_for_status(status.clone(), server, |problem| {
        problem.is_some_and(|problem| problem.contains(server))
    })
    .await;
}

const EVENTS: &str = "select coalesce(sum(balance), 0)::bigint from bank.accounts";
/// Accounts whose events are not just `0 1 2 …`.
const DISORDERED: &str = "select count(*) from bank.accounts where \"order\" <> \
    (select string_agg(n || ' ', '' order by n) from generate_series(0, balance::bigint - 1) n)";

/// Guarantees 1 to 3: with four partitions and two instances, one is killed while it works and another joins.
#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_while_instances_join_and_die() {
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let topic = Topic::create("bank.1", 4).await;
    let small = |test| Options { batch_size: 20, ..options(&database, brokers, test) };
    let instance = || Running::start(Projection::view::<Accounts<1>>(small("instances"), plain()));
    topic.write(&history(40, 0..20)).await;
    let (first, second) = (instance(), instance());
    database.wait_until(EVENTS, |events| events > 100).await;
    // Dropped where it stands, as a kill would: an open transaction is rolled back.
    first.task.abort();
    topic.write(&history(40, 20..40)).await;
    let third = instance();
    database.wait_for(EVENTS, 40 * 40).await;
    assert_eq!(database.number(DISORDERED).await, 0);
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    second.stop().await;
    third.stop().await;
}

/// Guarantees 1 and 2: Postgres is killed while it is used, and restarts.
#[tokio::test(flavor = "multi_thread")]
async fn projections_resume_after_a_restart_of_postgres() {
    let own = StackOptions { postgres: Part::start(), ..StackOptions::none() };
    let own = DevStack::start(own).await.unwrap();
    let database = Database::create_on(&own).await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let topic = Topic::create("bank.2", 4).await;
    let options = Options { batch_size: 20, ..options(&database, brokers, "postgres") };
    let view = Projection::view::<Accounts<2>>(options.clone(), plain());
    let status = view.status();
    assert!(status.not_ready().is_some(), "not ready before it runs");
    let view = Running::start(view);
    let deltas = Running::start(Projection::deltas::<Branches<2>>(options, plain()));
    for round in 0..3 {
        topic.write(&history(40, round * 10..(round + 1) * 10)).await;
        database.wait_until(EVENTS, |events| events > round * 400 + 40).await;
        own.postgres().unwrap().kill().await;
        own.postgres().unwrap().start().await.unwrap();
    }
    database.wait_for(EVENTS, 40 * 30).await;
    database.wait_for("select sum(deposits)::bigint from bank.branches", 40 * 30).await;
    assert_eq!(database.number(DISORDERED).await, 0);
    assert!(!view.task.is_finished() && !deltas.task.is_finished());
    ready(&status).await;
    // It notices without traffic too.
    own.postgres().unwrap().stop().await;
    names(&status, "postgres").await;
    own.postgres().unwrap().start().await.unwrap();
    ready(&status).await;
    view.stop().await;
    deltas.stop().await;
    own.shutdown().await;
}

/// Guarantee 1: Kafka is killed while it is used, and restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_projection_resumes_after_a_restart_of_kafka() {
    let own = StackOptions { kafka: Part::start(), ..StackOptions::none() };
    let own = DevStack::start(own).await.unwrap();
    let database = Database::create().await;
    let brokers = own.kafka_bootstrap().unwrap();
    let topic = Topic::create_on(brokers, "bank.3", 4).await;
    let view = Projection::view::<Accounts<3>>(options(&database, brokers, "kafka"), plain());
    let status = view.status();
    let view = Running::start(view);
    topic.write(&history(10, 0..10)).await;
    database.wait_for(EVENTS, 100).await;
    ready(&status).await;
    own.kafka().unwrap().kill().await;
    names(&status, brokers).await;
    own.kafka().unwrap().start().await.unwrap();
    topic.write(&history(10, 10..20)).await;
    database.wait_for(EVENTS, 200).await;
    ready(&status).await;
    assert_eq!(database.number(DISORDERED).await, 0);
    view.stop().await;
    own.shutdown().await;
}

/// Guarantee 2: an operator moves the offsets back under a running instance, which then reads everything
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_not_applied_twice_when_offsets_are_moved_back() {
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let topic = Topic::create("bank.4", 2).await;
    topic.write(&history(10, 0..10)).await;
    let view =
        Running::start(Projection::view::<Accounts<4>>(options(&database, brokers, "offsets"), plain()));
    database.wait_for(EVENTS, 100).await;
    let epochs = database.number("select sum(epoch)::bigint from aqueduct.offsets").await;
    sqlx::query(
        "select aqueduct.offsets_set('accounts', 1, 'bank.4', partition, null) from aqueduct.offsets",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    topic.write(&history(10, 10..20)).await;
    database.wait_for(EVENTS, 200).await;
    database.wait_for("select sum(next_offset)::bigint from aqueduct.offsets", 200).await;
    assert!(
        database.number("select sum(epoch)::bigint from aqueduct.offsets").await > epochs + 2,
        "claimed again"
    );
    assert_eq!(database.number(DISORDERED).await, 0);
    view.stop().await;
}

/// Guarantee 7: the record to resume at no longer exists, and the projection must not skip it silently.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_offset_stops_the_projection() {
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let topic = Topic::create("bank.5", 1).await;
    topic.write(&history(1, 0..3)).await;
    sqlx::query("select aqueduct.offsets_claim('accounts', 1, 'bank.5', 0, 'before')")
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::query("select aqueduct.offsets_set('accounts', 1, 'bank.5', 0, 1000)")
        .execute(&database.pool)
        .await
        .unwrap();
    let view = Projection::view::<Accounts<5>>(options(&database, brokers, "gone"), plain());
    let status = view.status();
    let ended = Running::start(view).end().await;
    let Err(ProjectionError::OffsetGone { missing, .. }) = ended else { panic!("{ended:?}") };
    let topic = "bank.5".to_owned();
    assert_eq!(missing, [MissingOffset { topic, partition: 0, offset: 1000, start: 0, end: 3 }]);
    assert!(
        status.not_ready().is_some_and(|problem| problem.contains("partition 0: offset 1000 is not between")),
        "{status:?}"
    );
    assert_eq!(database.number("select count(*) from bank.accounts").await, 0);
}

/// Guarantee 7: a group waits silently for a topic that does not exist; the projection reports it.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_reported_until_it_is_created() {
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let view = Projection::view::<Accounts<8>>(options(&database, brokers, "missing"), plain());
    let status = view.status();
    let view = Running::start(view);
    names(&status, "bank.8").await;
    let topic = Topic::create("bank.8", 2).await;
    topic.write(&history(10, 0..2)).await;
    database.wait_for(EVENTS, 20).await;
    ready(&status).await;
    view.stop().await;
}

/// Guarantee 6: the client panics at a header whose name is not UTF-8, and would do so again after each
/// restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_name_that_is_not_utf8_parks_its_stream() {
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    let topic = Topic::create("bank.9", 1).await;
    let mut events = history(3, 0..2);
    events[1].unnamed_header = true;
    topic.write(&events).await;
    let view =
        Running::start(Projection::view::<Accounts<9>>(options(&database, brokers, "unnamed"), plain()));
    database.wait_for(EVENTS, 4).await;
    database.wait_for("select count(*) from aqueduct.parked", 2).await;
    let parked = "select stream || ' ' || verdict || ': ' || reason from aqueduct.parked order by \"offset\"";
    assert_eq!(
        database.texts(parked).await,
        [
            "account-1 invalid: bank.9/0@1: the names of 1 headers are not UTF-8",
            "account-1 blocked: bank.9/0@4: an earlier event of the stream is parked"
        ]
    );
    view.stop().await;
}

/// A property that the client rejects may be a password.
#[tokio::test]
async fn a_rejected_property_is_named_without_its_value() {
    let database = Database::create().await;
    let mut options = options(&database, "localhost:1", "rejected");
    options.cluster.properties.insert("ssl.key.passwrod".to_owned(), "hunter2".to_owned());
    let view = Projection::view::<Accounts<0>>(options, plain());
    let status = view.status();
    let error = view.run(CancellationToken::new()).await.unwrap_err();
    let problem = status.not_ready().unwrap();
    assert!(
        problem.contains("halted: projection accounts: the kafka client could not be created"),
        "{problem}"
    );
    for text in [format!("{error:?}"), problem] {
        assert!(text.contains("ssl.key.passwrod") && !text.contains("hunter2"), "{text}");
    }
}

/// A property on which delivery rests cannot be configured.
#[tokio::test]
async fn a_reserved_property_is_rejected() {
    let database = Database::create().await;
    let mut options = options(&database, "localhost:1", "reserved");
    options.cluster.properties.insert("isolation.level".to_owned(), "read_uncommitted".to_owned());
    let error =
        Projection::view::<Accounts<0>>(options, plain()).run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "projection accounts: option kafka.properties contains \"isolation.level\", which aqueduct sets: remove it"
    );
}

#[tokio::test]
async fn a_url_that_cannot_be_parsed_is_rejected_without_its_password() {
    let postgres = PostgresOptions::new("postgres://me:hunter2@localhost:port/bank");
    let options = Options::new(postgres, Cluster::new("localhost:1"));
    let view = Projection::view::<Accounts<0>>(options, plain());
    let error = view.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "projection accounts: the URL of postgres is not valid: write postgres://user:password@host/database"
    );
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
