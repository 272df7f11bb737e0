//! Topics that are deleted and created again.

use std::time::Duration;

use aqueduct_kafka::{Cluster, LogContext, create_client, topic_ids};
use aqueduct_projection::{Options, Projection, ProjectionError, consumer};

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::bank::{Accounts, deposited};
use crate::support::{Database, Running, TestRecord, Topic, event, plain, stack};

const EVENTS: &str = "select coalesce(sum(balance), 0)::bigint from bank.accounts";
const ORDERS: &str = "select id || ': ' || \"order\" from bank.accounts order by id";
const IDS: &str = "select distinct topic_id from aqueduct.offsets";

/// Two streams, each with the events of these revisions.
fn history(revisions: std::ops::Range<i64>) -> Vec<TestRecord> {
    let events = |revision| ["account-1", "account-2"].map(|stream| event(stream, revision, &deposited(1)));
    revisions.flat_map(events).collect()
}

fn options(database: &Database, group: &str) -> Options {
    database.options_on(stack().kafka_bootstrap().unwrap(), group)
}

/// Applies what the topic has.
async fn project(database: &Database, group: &str, events: i64) {
    let view = Running::start(Projection::view::<Accounts<15>>(options(database, group), plain()));
    database.wait_for(EVENTS, events).await;
    view.stop().await;
}

/// Guarantee 7: the new topic is longer than the offset at which reading would resume, so that Kafka has a record there.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_topic_under_the_same_name_is_read_when_a_person_has_accepted_it() {
    let database = Database::create().await;
    consumer::install(&database.pool).await.unwrap();
    let topic = Topic::create("bank.15", 2).await;
    topic.write(&history(0..5)).await;
    project(&database, "recreated", 10).await;
    let [read] = &database.texts(IDS).await[..] else { panic!("the topic has one id") };

    topic.delete().await;
    let topic = Topic::create("bank.15", 2).await;
    topic.write(&history(0..20)).await;
    for _ in 0..2 {
        let view = Projection::view::<Accounts<15>>(options(&database, "recreated"), plain());
        let ended = Running::start(view).end().await;
        let Err(ProjectionError::TopicRecreated { recreated, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!((recreated.topic.as_str(), &recreated.read), ("bank.15", read));
        assert_ne!(&recreated.found, read);
    }
    assert_eq!(database.number(EVENTS).await, 10);
    let halted =
        database.texts("select problem from aqueduct.projection_status where state = 'halted'").await;
    assert!(halted[0].contains("`aqueduct projection accept accounts topic_recreated`"), "{halted:?}");

    let accept = async || consumer::accept(&database.pool, "accounts", "topic_recreated").await.unwrap();
    let [accepted] = &accept().await[..] else { panic!("one topic is accepted") };
    assert!(accepted.starts_with("topic bank.15 is not the one that was read"), "{accepted}");
    assert_eq!(accept().await, Vec::<String>::new());
    project(&database, "recreated", 40).await;
    let order: String = (0..20).map(|revision| format!("{revision} ")).collect();
    assert_eq!(database.texts(ORDERS).await, [format!("1: {order}"), format!("2: {order}")]);
    assert_ne!(&database.texts(IDS).await[0], read);
}

/// librdkafka is asked, which rdkafka does not wrap.
#[tokio::test(flavor = "multi_thread")]
async fn each_topic_that_exists_has_an_id_of_its_own() {
    for name in ["ids.a", "ids.b"] {
        Topic::create(name, 2).await;
    }
    let cluster = Cluster::new(stack().kafka_bootstrap().unwrap());
    let consumer: BaseConsumer<_> = create_client(&cluster.consumer_config("ids", &[]), LogContext).unwrap();
    let ask = |topics: &[&str]| {
        let topics: Vec<_> = topics.iter().map(|&topic| topic.to_owned()).collect();
        tokio::task::block_in_place(|| topic_ids(consumer.client(), &topics, Duration::from_secs(20)))
            .unwrap()
    };
    let ids = ask(&["ids.a", "ids.missing", "ids.b", "ids.a", "with \0"]);
    assert_eq!(ids.keys().collect::<Vec<_>>(), ["ids.a", "ids.b"]);
    assert_ne!(ids["ids.a"], ids["ids.b"]);
    assert!(ids.values().all(|id| id.len() == 22), "{ids:?}");
    assert_eq!(ask(&["ids.a"])["ids.a"], ids["ids.a"], "the same topic");
    assert!(ask(&[]).is_empty());
}

/// What a claim makes of the stored id and of the one that Kafka has.
#[tokio::test]
async fn a_stored_id_is_compared_where_both_are_known() {
    let database = Database::create().await;
    let claim = async |topic_id: Option<&str>| -> (i64, Option<i64>, Option<String>, Option<String>) {
        let claim = "select claimed_epoch, resume_at, topic_id, found_topic_id
                       from aqueduct.offsets_claim('p', 1, 't', 0, 'me', $1)";
        sqlx::query_as(claim).bind(topic_id).fetch_one(&database.pool).await.unwrap()
    };
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(claim(Some("a")).await, (1, None, id("a"), None));
    assert_eq!(claim(Some("b")).await, (2, None, id("b"), None), "nothing was applied");
    let store = async |offset: i64| {
        let advance = "select aqueduct.offsets_advance('p', 1, '{t}', '{0}', array[o.epoch], array[$1]) from aqueduct.offsets o";
        sqlx::query(advance).bind(offset).execute(&database.pool).await.unwrap();
    };
    store(7).await;
    assert_eq!(claim(None).await, (3, Some(7), id("b"), None), "brokers that do not know ids");
    assert_eq!(claim(Some("b")).await, (4, Some(7), id("b"), None));
    assert_eq!(claim(Some("c")).await, (5, Some(7), id("b"), id("c")));
    assert_eq!(claim(None).await, (6, Some(7), id("b"), id("c")), "it was found before");
    assert_eq!(claim(Some("b")).await, (7, Some(7), id("b"), None), "another cluster was asked");
    sqlx::query("update aqueduct.offsets set topic_id = null").execute(&database.pool).await.unwrap();
    assert_eq!(claim(Some("d")).await, (8, Some(7), id("d"), None), "a row of an earlier version");
    assert_eq!(claim(Some("e")).await, (9, Some(7), id("d"), id("e")));
    sqlx::query("select aqueduct.offsets_set('p', 1, 't', 0, null)").execute(&database.pool).await.unwrap();
    assert_eq!(claim(Some("e")).await, (11, None, id("e"), None), "read from the beginning");
}
