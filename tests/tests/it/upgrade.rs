//! Guarantees 1 (nothing is lost), 2 (nothing is duplicated) and 6 (parked events can be replayed in order): this
//! version continues a data directory of version 0.1.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aqueduct_devstack::{Data, DevStack, Options};
use flate2::read::GzDecoder;
use lzma_rust2::XzReader;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Pipeline, ROOT, eventually};
use crate::topic::{committed_records, header};

/// Customers of the forty orders.
const CUSTOMERS: i64 = 29;
/// Events of routed streams, of which two orders have two parked events each.
const RELAYED: [(&str, usize); 3] = [("shop.users", 29), ("shop.orders", 87), ("shop.inventory", 722)];

fn stored(file: &str) -> PathBuf {
    Path::new(ROOT).join("tests/data/version-0.1").join(file)
}

/// The servers with what is stored on them.
async fn servers(data: &Path) -> DevStack {
    let archive = std::fs::File::open(stored("servers.tar.xz")).unwrap();
    tar::Archive::new(XzReader::new(archive, true)).unpack(data).unwrap();
    let options = Options { data: Data::Kept(data.to_owned()), ..Options::all() };
    let stack = DevStack::start(options).await.unwrap();
    let mut dump = String::new();
    GzDecoder::new(std::fs::File::open(stored("postgres.sql.gz")).unwrap())
        .read_to_string(&mut dump)
        .unwrap();
    let postgres = PgPool::connect(stack.postgres_url().unwrap()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(dump)).execute(&postgres).await.unwrap();
    stack
}

async fn count(postgres: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(postgres).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_version_0_1_is_continued() {
    let data = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::on(servers(data.path()).await, &[]);
    let users = pipeline.service("users", &["shop", "users"]).await;
    let relay = pipeline.service("relay", &["relay"]).await;
    let projections = pipeline.service("projections", &["shop", "project"]).await;

    let registered = reqwest::Client::new()
        .post(format!("{}/users", users.url))
        .header("idempotency-key", "00000000-0000-4000-8000-000000000003")
        .json(&json!({"userId": "99999", "country": "France", "registeredAt": "2010-12-04T08:26:00"}))
        .send()
        .await
        .unwrap();
    assert_eq!(registered.status(), 201, "{}", registered.text().await.unwrap());
    let postgres = pipeline.postgres().await;
    eventually("the new customer is in the table", async || {
        let customers = count(&postgres, "select count(*) from shop.customers").await;
        (customers == CUSTOMERS + 1).then_some(())
    })
    .await;

    for (topic, before) in RELAYED {
        let records = committed_records(pipeline.stack.kafka_bootstrap().unwrap(), topic);
        let ids: Vec<_> = records.iter().map(|record| header(record, "ce_id").unwrap()).collect();
        let new = usize::from(topic == "shop.users");
        assert_eq!(ids.len(), before + new, "{topic}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{topic} holds an event twice");
    }
    let (parked, orders) = ("select count(*) from aqueduct.parked", "select count(*) from shop.orders");
    assert_eq!((count(&postgres, parked).await, count(&postgres, orders).await), (4, 40));
    let replayed = pipeline.command(&["parked", "replay", "--projection", "orders"]).output().unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    assert!(String::from_utf8_lossy(&replayed.stdout).contains("4 events applied"), "{replayed:?}");
    assert_eq!((count(&postgres, parked).await, count(&postgres, orders).await), (0, 42));
    for service in [users, relay, projections] {
        service.stop().await;
    }
}
