use aqueduct_devstack::{Data, DevStack, Options, Part, PartError, PostgresFrom};

use crate::support;

const SCHEMA: &str = r#"{"type":"record","name":"Made","fields":[{"name":"n","type":"long"}]}"#;

#[tokio::test]
async fn all_parts_serve_and_kept_data_stays() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { data: Data::Kept(dir.path().join("data")), ..Options::all() };

    let stack = DevStack::start(options.clone()).await.unwrap();
    support::create_topic(stack.kafka_bootstrap().unwrap(), "kept").await;
    support::produce(stack.kafka_bootstrap().unwrap(), "kept", "one");
    assert_eq!(support::consume(stack.kafka_bootstrap().unwrap(), "kept", 1), ["one"]);
    let database = stack.create_database("kept \"name\"").await.unwrap();
    support::execute(&database, "create table t (n text); insert into t values ('one')").await;
    assert_eq!(support::query(&database, "select n from t").await, "one");
    support::append(stack.event_store_url().unwrap(), "one").await;
    let other = support::register(stack.registry_url().unwrap(), "other", "\"string\"").await;
    let id = support::register(stack.registry_url().unwrap(), "kept", SCHEMA).await;
    assert_ne!(id, other);
    stack.shutdown().await;

    let stack = DevStack::start(options).await.unwrap();
    support::produce(stack.kafka_bootstrap().unwrap(), "kept", "two");
    assert_eq!(support::consume(stack.kafka_bootstrap().unwrap(), "kept", 2), ["one", "two"]);
    let url = stack.postgres_url().unwrap().replace("/aqueduct?", "/kept%20%22name%22?");
    assert_eq!(support::query(&url, "select n from t").await, "one");
    support::append(stack.event_store_url().unwrap(), "two").await;
    assert_eq!(support::read(stack.event_store_url().unwrap()).await, ["one", "two"]);
    assert_eq!(support::register(stack.registry_url().unwrap(), "elsewhere", SCHEMA).await, id);
    stack.shutdown().await;
}

#[tokio::test]
async fn parts_are_killed_and_come_back_on_the_same_port_with_their_data() {
    let stack = DevStack::start(Options::all()).await.unwrap();
    let (kafka, postgres) = (stack.kafka().unwrap(), stack.postgres().unwrap());
    let (registry, store) = (stack.registry().unwrap(), stack.event_store().unwrap());
    let bootstrap = stack.kafka_bootstrap().unwrap();
    support::create_topic(bootstrap, "faults").await;
    support::produce(bootstrap, "faults", "one");
    support::execute(stack.postgres_url().unwrap(), "create table t (n text); insert into t values ('one')")
        .await;
    support::append(stack.event_store_url().unwrap(), "one").await;
    let id = support::register(stack.registry_url().unwrap(), "s", SCHEMA).await;

    tokio::join!(kafka.kill(), postgres.kill(), registry.kill(), store.kill());
    assert!(!kafka.is_running().await && !postgres.is_running().await && !registry.is_running().await);
    assert!(!store.is_running().await);
    for url in [bootstrap.to_owned(), registry.address().to_string(), store.address().to_string()] {
        assert!(std::net::TcpStream::connect(&url).is_err(), "{url} still listens");
    }
    tokio::try_join!(kafka.start(), postgres.start(), registry.start(), store.start()).unwrap();

    assert_eq!(support::consume(bootstrap, "faults", 1), ["one"]);
    assert_eq!(support::query(stack.postgres_url().unwrap(), "select n from t").await, "one");
    assert_eq!(support::register(stack.registry_url().unwrap(), "s", SCHEMA).await, id);

    assert_eq!(support::read(stack.event_store_url().unwrap()).await, ["one"]);

    tokio::join!(postgres.stop(), registry.stop(), store.stop());
    tokio::try_join!(postgres.start(), registry.start(), store.start()).unwrap();
    assert_eq!(support::query(stack.postgres_url().unwrap(), "select n from t").await, "one");
    assert_eq!(support::read(stack.event_store_url().unwrap()).await, ["one"]);
    let data = stack.data_dir().to_owned();
    drop(stack);
    assert!(!data.exists());
}

#[tokio::test]
async fn a_given_part_is_used_and_not_controlled() {
    let options = Options { kafka: Part::Given("broker:9092".to_owned()), ..Options::none() };
    let stack = DevStack::start(options).await.unwrap();
    assert_eq!(stack.kafka_bootstrap(), Ok("broker:9092"));
    assert_eq!(stack.kafka().err(), Some(PartError::Given("kafka")));
    assert_eq!(stack.postgres_url(), Err(PartError::Off("postgres")));
    stack.shutdown().await;
}

#[tokio::test]
async fn postgres_through_maven_serves_beside_one_that_is_installed() {
    let options = Options { postgres: Part::start(), postgres_from: PostgresFrom::Maven, ..Options::none() };
    let stack = DevStack::start(options).await.unwrap();
    let version = support::query(stack.postgres_url().unwrap(), "show server_version").await;
    assert!(version.starts_with("16."), "{version}");
    for setting in ["show fsync", "show synchronous_commit", "show full_page_writes"] {
        assert_eq!(support::query(stack.postgres_url().unwrap(), setting).await, "on", "{setting}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn two_at_once_share_an_empty_cache() {
    let cache = tempfile::tempdir().unwrap();
    let options =
        Options { cache: Some(cache.path().to_owned()), postgres: Part::start(), ..Options::none() };
    let (one, two) = tokio::try_join!(DevStack::start(options.clone()), DevStack::start(options)).unwrap();
    assert_ne!(one.postgres_url().unwrap(), two.postgres_url().unwrap());
    for stack in [one, two] {
        support::execute(stack.postgres_url().unwrap(), "create table t (n text)").await;
        stack.shutdown().await;
    }
    let entries = std::fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let shown: Vec<_> = entries.filter(|name| !name.to_string_lossy().starts_with('.')).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
}
