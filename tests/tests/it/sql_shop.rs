//! The shop's four read models as SQL files, in the same process as those in Rust.

use crate::support::{Pipeline, ROOT, Shop, eventually, finished, plan};

const ORDERS: usize = 60;

/// How many rows of a table differ between the two schemas.
const DIFFERENCES: &str = "
    select (select count(*) from (table shop.orders except table shop_sql.orders) one)
         + (select count(*) from (table shop_sql.orders except table shop.orders) one)
         + (select count(*) from (table shop.revenue except table shop_sql.revenue) one)
         + (select count(*) from (table shop_sql.revenue except table shop.revenue) one)
         + (select count(*) from (table shop.stock except table shop_sql.stock) one)
         + (select count(*) from (table shop_sql.stock except table shop.stock) one)
         + (select count(*) from (table shop.customers except table shop_sql.customers) one)
         + (select count(*) from (table shop_sql.customers except table shop.customers) one)";

/// Promise: the rows of a projection do not depend on the way in which it is written.
#[tokio::test(flavor = "multi_thread")]
async fn the_read_models_in_sql_have_the_rows_of_those_in_rust() {
    let directory = format!("{ROOT}/crates/shop/projections");
    let pipeline = Pipeline::start(&[("PROJECTION__DIRECTORY", &directory)]).await;
    let shop = Shop::start(&pipeline).await;
    let relay = pipeline.service("relay", &["relay"]).await;
    let projections = pipeline.service("projections", &["shop", "project"]).await;
    let inventory = pipeline.service("inventory", &["shop", "inventory"]).await;
    shop.feeder(&inventory.url).feed(&plan(ORDERS), |_| {}).await.unwrap();
    let report = finished(&pipeline, ORDERS).await;
    assert!(report.is_clean(), "{report}\n{}\n{}", relay.log(), projections.log());

    let postgres = pipeline.postgres().await;
    eventually("the rows are the same", async || {
        let differences: i64 = sqlx::query_scalar(DIFFERENCES).fetch_one(&postgres).await.unwrap();
        (differences == 0).then_some(())
    })
    .await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from shop_sql.orders").fetch_one(&postgres).await.unwrap();
    assert_eq!(rows, ORDERS as i64);
    let parked: i64 =
        sqlx::query_scalar("select count(*) from aqueduct.parked").fetch_one(&postgres).await.unwrap();
    assert_eq!(parked, 0);
    assert!(!projections.log().contains("are not all checked"), "{}", projections.log());
    projections.stop().await;
}
