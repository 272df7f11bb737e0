//! The template consumers of `tests/consumers`: programs in other languages that keep the shop's orders and revenue.

mod disturbed;
mod go;
mod java;
mod kit;
mod pgbouncer;
mod python;
mod repeated;
mod runner;
mod typescript;
mod vectors;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aqueduct_devstack::{Child, Conditions};
use aqueduct_shop::input::{Plan, Step};
use axum::routing::get;
use axum::{Json, Router};
use nix::sys::signal::Signal;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::net::TcpListener;

use crate::consumers::pgbouncer::PgBouncer;
use crate::support::{PATIENCE, Pipeline, ROOT, Shop, eventually, finished, plan};
use crate::topic::partitions;

const ORDERS: usize = 60;
/// Most records of a transaction. There are more returns of one day and country, so that not all of them come in one and the
/// row with their sum is updated.
const BATCH: usize = 2;
const TOPIC: &str = "shop.orders";

/// A program of `tests/consumers`.
struct Template {
    /// Name of its folder; the projection and its schema are called `shop_<name>`.
    name: &'static str,
    /// Installs its packages, builds it and returns its command line.
    install: fn() -> Vec<String>,
}

const GO: Template = Template { name: "go", install: go::command_line };
const JAVA: Template = Template { name: "java", install: java::command_line };
const PYTHON: Template = Template { name: "python", install: python::command_line };
const TYPESCRIPT: Template = Template { name: "typescript", install: typescript::command_line };

impl Template {
    fn folder(&self) -> PathBuf {
        Path::new(ROOT).join("tests/consumers").join(self.name)
    }

    fn projection(&self) -> String {
        format!("shop_{}", self.name)
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A template with its projection installed, which connects through PgBouncer in transaction mode.
struct Installed<'a> {
    template: Template,
    command_line: Vec<String>,
    pipeline: &'a Pipeline,
    postgres: PgPool,
    pooler: PgBouncer,
}

impl<'a> Installed<'a> {
    async fn on(pipeline: &'a Pipeline, template: Template) -> Self {
        let command_line = (template.install)();
        let postgres = pipeline.postgres().await;
        let projection = template.projection();
        let role = format!(
            "create role {projection} login password '{projection}';
             do $$ begin execute format('grant create on database %I to {projection}', current_database()); end $$"
        );
        sqlx::raw_sql(AssertSqlSafe(role)).execute(&postgres).await.unwrap();
        succeed(&mut pipeline.command(&["projection", "install", &projection, "--owner", &projection]));

        let (_, server) = pipeline.stack.postgres_url().unwrap().split_once('@').unwrap();
        // Without parameters: they are those of the driver in Rust.
        let (server, _) = server.split_once('?').unwrap_or((server, ""));
        let url = format!("postgres://{projection}:{projection}@{server}");
        let migration = template.folder().join(format!("migrations/0001_{projection}.sql"));
        let migration = fs::read_to_string(migration).unwrap();
        let mut owner = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(migration)).execute(&mut owner).await.unwrap();
        owner.close().await.unwrap();
        let pooler = PgBouncer::start(&url, &projection).await;
        Self { template, command_line, pipeline, postgres, pooler }
    }

    fn log(&self) -> PathBuf {
        self.pipeline.stack.data_dir().join(format!("{}.log", self.template.name))
    }

    fn start(&self) -> Child {
        self.start_with(&[])
    }

    fn start_with(&self, environment: &[(&str, &str)]) -> Child {
        let mut command = self.command();
        command.envs(environment.iter().copied());
        Child::spawn(command, &Conditions::plain(), &self.log()).unwrap()
    }

    /// The program, in its environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.command_line[0]);
        command.args(&self.command_line[1..]);
        command.envs(self.pipeline.environment.iter().map(|(key, value)| (key, value)));
        command.env("AQUEDUCT_POSTGRES__URL", self.pooler.url(&self.template.projection()));
        command.env("AQUEDUCT_SCHEMAS__DIRECTORY", Path::new(ROOT).join("schemas"));
        command.env("AQUEDUCT_HTTP__CONSUMER", "127.0.0.1:0");
        // The shortest that Kafka allows.
        command.env("AQUEDUCT_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000");
        command
    }

    /// Waits until it has ended by a halt.
    async fn halts(&self, mut child: Child) {
        let ended = child.wait(PATIENCE).await.unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(2), "{}", self.logged());
    }

    async fn stop(&self, mut child: Child) {
        child.signal(Signal::SIGTERM);
        let ended = child.wait(PATIENCE).await.unwrap();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", self.logged());
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    async fn number(&self, query: String) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.postgres).await.unwrap()
    }

    /// Sum of the offsets that it has reached.
    async fn reached(&self) -> i64 {
        let query = format!(
            "select coalesce(sum(next_offset), 0)::bigint from aqueduct.offsets where projection = '{}'",
            self.template.projection()
        );
        self.number(query).await
    }

    /// Waits until it has read the topic to its end.
    async fn finish(&self, children: &mut [Child]) {
        let ends = sum_of_ends(self.pipeline);
        eventually("the consumer has read everything", async || {
            for child in &mut *children {
                assert!(child.ended().unwrap().is_none(), "{}", self.logged());
            }
            (self.reached().await == ends).then_some(())
        })
        .await;
    }

    /// How many rows differ from those of the views in Rust.
    async fn differences(&self) -> i64 {
        let schema = self.template.projection();
        let one_way = |one: &str, other: &str| {
            format!("(select count(*) from (table {one} except all table {other}) differing)")
        };
        let terms = ["orders", "revenue"].map(|table| {
            let (rust, other) = (format!("shop.{table}"), format!("{schema}.{table}"));
            format!("{} + {}", one_way(&rust, &other), one_way(&other, &rust))
        });
        self.number(format!("select {}", terms.join(" + "))).await
    }

    async fn parked(&self) -> Vec<String> {
        let query = "select stream || ' ' || coalesce(revision::text, '-') || ' ' || verdict || ' ' || code \
                       from aqueduct.parked where projection = $1 order by 1";
        sqlx::query_scalar(query).bind(self.template.projection()).fetch_all(&self.postgres).await.unwrap()
    }
}

fn sum_of_ends(pipeline: &Pipeline) -> i64 {
    let brokers = pipeline.stack.kafka_bootstrap().unwrap();
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let end = |partition| client.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap().1;
    (0..partitions(brokers, TOPIC)).map(end).sum()
}

/// Feeds the shop, and waits until the topic and the views in Rust are complete.
async fn filled_pipeline(orders: usize) -> Pipeline {
    let pipeline = Pipeline::start(&[]).await;
    let shop = Shop::start(&pipeline).await;
    let relay = pipeline.service("relay", &["relay"]).await;
    let projections = pipeline.service("projections", &["shop", "project"]).await;
    let inventory = pipeline.service("inventory", &["shop", "inventory"]).await;
    shop.feeder(&inventory.url).feed(&plan(orders), |_| {}).await.unwrap();
    let report = finished(&pipeline, orders).await;
    assert!(report.is_clean(), "{report}\n{}\n{}", relay.log(), projections.log());
    for service in [inventory, projections, relay] {
        service.stop().await;
    }
    pipeline
}

/// Promise: a projection whose database is older than what Kafka knows halts, says so, and continues where a person accepts
/// it.
async fn halts_until_it_is_accepted(consumer: &Installed<'_>) {
    let projection = consumer.template.projection();
    let restored = format!(
        "update aqueduct.offsets set next_offset = 0 where projection = '{projection}' and partition = 0"
    );
    sqlx::raw_sql(AssertSqlSafe(restored)).execute(&consumer.postgres).await.unwrap();
    consumer.halts(consumer.start()).await;
    succeed(&mut consumer.pipeline.command(&["projection", "accept", &projection, "database_restored"]));

    let mut children = [consumer.start()];
    consumer.finish(&mut children).await;
    assert_eq!(consumer.differences().await, 0, "{}", consumer.logged());
    for child in children {
        consumer.stop(child).await;
    }
}

/// A registry whose schemas all have this text. It serves as long as the runtime.
async fn registry_of(schema: Value) -> String {
    let answer = Json(json!({ "schema": schema.to_string() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/schemas/ids/{id}", get(async || answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Promise: a schema that cannot be parsed, or does not resolve to the version that the consumer is written for, halts it:
/// nothing of the batch is applied, parked or passed over.
async fn halts_at_schemas_that_it_cannot_read(consumer: &Installed<'_>) {
    let schema =
        |field: Value| json!({ "type": "record", "name": "shop.orders.OrderCreated", "fields": [field] });
    let unparsable = schema(json!({ "name": "orderId", "type": "shop.orders.Missing" }));
    let unresolvable = schema(json!({ "name": "orderId", "type": "boolean" }));
    for (schema, problem) in [
        (unparsable, "of the registry cannot be parsed to read it as orders/OrderCreated/v2.avsc"),
        (unresolvable, "of the registry does not resolve to orders/OrderCreated/v2.avsc"),
    ] {
        let registry = registry_of(schema).await;
        consumer.halts(consumer.start_with(&[("AQUEDUCT_REGISTRY__URL", &registry)])).await;
        let log = consumer.logged();
        let halt = log.lines().find(|line| line.contains(problem)).unwrap_or_else(|| panic!("{log}"));
        assert!(halt.contains("shop.orders/") && halt.contains("@0: "), "{halt}");
        assert_eq!((consumer.reached().await, consumer.parked().await), (0, Vec::new()), "{log}");
    }
}

/// Promise: a role that owns no projection is told so before anything is read.
async fn halts_without_rights(consumer: &Installed<'_>) {
    let projection = consumer.template.projection();
    let stranger = format!("stranger_of_{projection}");
    let role = format!("create role {stranger} login password 'stranger'");
    sqlx::raw_sql(AssertSqlSafe(role)).execute(&consumer.postgres).await.unwrap();
    let (_, server) = consumer.pipeline.stack.postgres_url().unwrap().split_once('@').unwrap();
    let (server, _) = server.split_once('?').unwrap_or((server, ""));
    let url = format!("postgres://{stranger}:stranger@{server}");
    consumer.halts(consumer.start_with(&[("AQUEDUCT_POSTGRES__URL", &url)])).await;
    let log = consumer.logged();
    let (problem, remedy) =
        ("may not act for projection", format!("aqueduct projection install {projection} --owner"));
    assert!(
        log.lines().any(|line| [problem, &stranger, &remedy].iter().all(|text| line.contains(text))),
        "{log}"
    );
    assert_eq!(consumer.reached().await, 0);
}

/// How many returns there are of the day and country that have most.
fn most_returns(plan: &Plan) -> usize {
    let mut counts = BTreeMap::new();
    for step in plan.months.iter().flat_map(|month| &month.steps) {
        if let Step::Return(it) = step {
            *counts.entry((it.received_at.date(), &it.country)).or_insert(0) += 1;
        }
    }
    counts.into_values().max().unwrap_or(0)
}

/// Promise: the rows of a projection do not depend on the language in which it is written.
async fn has_the_rows_of_the_views_in_rust(template: Template) {
    let pipeline = filled_pipeline(ORDERS).await;
    let consumer = Installed::on(&pipeline, template).await;
    halts_without_rights(&consumer).await;
    halts_at_schemas_that_it_cannot_read(&consumer).await;
    assert!(most_returns(&plan(ORDERS)) > BATCH, "the rows of the revenue are not updated");
    let mut children = [consumer.start_with(&[("AQUEDUCT_BATCH", &BATCH.to_string())])];
    consumer.finish(&mut children).await;
    assert_eq!(consumer.differences().await, 0, "{}", consumer.logged());
    let orders = format!("select count(*) from {}.orders", consumer.template.projection());
    assert_eq!(consumer.number(orders).await, ORDERS as i64);
    assert_eq!(consumer.parked().await, [""; 0]);
    for child in children {
        consumer.stop(child).await;
    }
    halts_until_it_is_accepted(&consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_has_the_rows_of_the_views_in_rust() {
    has_the_rows_of_the_views_in_rust(PYTHON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_has_the_rows_of_the_views_in_rust() {
    has_the_rows_of_the_views_in_rust(GO).await;
}

/// Promise: a claim of many partitions does not list the offsets of all of them for each.
#[tokio::test(flavor = "multi_thread")]
async fn go_lists_offsets_once_for_the_partitions_that_it_claims_together() {
    let pipeline = Pipeline::start(&[]).await;
    let consumer = Installed::on(&pipeline, GO).await;
    let partitions = i64::from(partitions(pipeline.stack.kafka_bootstrap().unwrap(), TOPIC));
    assert!(partitions > 1);
    let child = consumer.start_with(&[("LOG_LEVEL", "DEBUG")]);
    let claimed = "select count(*) from aqueduct.offsets where projection = 'shop_go'";
    eventually("all partitions are claimed", async || {
        (consumer.number(claimed.to_owned()).await == partitions).then_some(())
    })
    .await;
    consumer.stop(child).await;
    let log = consumer.logged();
    assert_eq!(log.lines().filter(|line| line.contains("listed offsets")).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_has_the_rows_of_the_views_in_rust() {
    has_the_rows_of_the_views_in_rust(TYPESCRIPT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_has_the_rows_of_the_views_in_rust() {
    has_the_rows_of_the_views_in_rust(JAVA).await;
}
