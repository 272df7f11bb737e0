//! The demo, the benchmarks and the tests run on servers that keep what they have confirmed.

use std::time::Duration;

use aqueduct_devstack::{DevStack, Options};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::support;

/// Promise: nothing is lost (1). No figure is bought with a setting.
#[tokio::test]
async fn the_servers_keep_their_default_durability() {
    let stack = DevStack::start(Options::all()).await.unwrap();
    let postgres = "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings \
                    where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_level')";
    let settings = support::query(stack.postgres_url().unwrap(), postgres).await;
    assert_eq!(settings, "fsync=on full_page_writes=on synchronous_commit=on wal_level=replica");

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", stack.kafka_bootstrap().unwrap()).create().unwrap();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(60)));
    let broker = admin.describe_configs(&[ResourceSpecifier::Broker(1)], &options).await.unwrap();
    let broker = broker.into_iter().next().unwrap().unwrap();
    for (name, expected) in [
        ("log.flush.interval.messages", Some("9223372036854775807")),
        ("log.flush.interval.ms", None),
        ("min.insync.replicas", Some("1")),
        ("unclean.leader.election.enable", Some("false")),
        ("compression.type", Some("producer")),
    ] {
        let setting = broker.get(name).unwrap();
        assert_eq!(setting.value.as_deref(), expected, "{name}");
    }
    stack.shutdown().await;
}
