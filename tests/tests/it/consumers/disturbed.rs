//! All consumers of the shop's real events at the same time: records come twice, instances are killed at random moments of
//! their work, and their partitions move.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct_devstack::{Child, Conditions};
use fastrand::Rng;
use futures::future::join_all;
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, PgPool};

use crate::consumers::repeated::{PREFIX, Repeated};
use crate::consumers::{GO, Installed, JAVA, PYTHON, TOPIC, TYPESCRIPT, filled_pipeline};
use crate::support::{PATIENCE, Pipeline, ROOT, eventually, say};
use crate::watch::READERS;

/// Orders that are written before each kill, at most.
const ORDERS_A_ROUND: usize = 20;
/// Of a hundred rounds fifty may find a consumer without work.
const ROUNDS_FOR_100_KILLS: usize = 150;
const INSTANCES: usize = 2;
const POLL: Duration = Duration::from_millis(1);
/// Most records of a transaction, of a template and of projections that also read the inventory's topic.
const BATCHES: [&str; 2] = ["2", "10"];

/// One of the consumers.
struct Consumer<'a> {
    name: &'static str,
    command: Box<dyn Fn() -> Command + 'a>,
    log: PathBuf,
    /// Where its tables are.
    postgres: PgPool,
    /// Its projections, each with the topic that it reads.
    readers: Vec<(String, &'static str)>,
    /// Tables of the views in Rust that were checked against the store, and its own of the same rows.
    tables: Vec<(String, String)>,
    running: Vec<Child>,
    /// How often it has to be killed.
    kills: usize,
}

impl Consumer<'_> {
    fn start(&mut self) {
        let child = Child::spawn((self.command)(), &Conditions::plain(), &self.log).unwrap();
        self.running.push(child);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The number of records that its projections have read.
    async fn reached(&mut self) -> i64 {
        let ended = self.running.iter_mut().any(|child| child.ended().unwrap().is_some());
        assert!(!ended, "{} ended:\n{}", self.name, self.log());
        let names: Vec<_> = self.readers.iter().map(|(name, _)| name.as_str()).collect();
        sqlx::query_scalar(
            "select coalesce(sum(next_offset), 0)::bigint from aqueduct.offsets where projection = any($1)",
        )
        .bind(names)
        .fetch_one(&self.postgres)
        .await
        .unwrap()
    }

    /// The number of records that it has to read.
    fn end(&self, repeated: &Repeated) -> i64 {
        self.readers.iter().map(|(_, topic)| repeated.written(topic)).sum()
    }

    /// Kills one of its instances when so much was read, if it is not at the end then, and starts another one.
    async fn kill_at(&mut self, moment: i64, end: i64, random: &mut Rng) {
        let deadline = Instant::now() + PATIENCE;
        while self.reached().await < moment {
            assert!(Instant::now() < deadline, "{} reads nothing:\n{}", self.name, self.log());
            tokio::time::sleep(POLL).await;
        }
        let index = random.usize(..self.running.len());
        self.running[index].signal(Signal::SIGSTOP);
        if self.reached().await == end {
            self.running[index].signal(Signal::SIGCONT);
            return;
        }
        let mut killed = self.running.remove(index);
        killed.signal(Signal::SIGKILL);
        assert!(killed.wait(PATIENCE).await.unwrap().is_some());
        self.kills -= 1;
        self.start();
    }

    /// Waits until it has read everything, and ends it in order.
    async fn finish(&mut self, end: i64) {
        eventually(&format!("{} has read everything", self.name), async || {
            (self.reached().await == end).then_some(())
        })
        .await;
        for mut child in std::mem::take(&mut self.running) {
            child.signal(Signal::SIGTERM);
            let ended = child.wait(PATIENCE).await.unwrap();
            assert!(ended.is_some_and(|status| status.success()), "{}: {ended:?}\n{}", self.name, self.log());
        }
    }

    /// Promise: its rows are those of a plain fold of the store.
    async fn has_the_rows_of(&self, checked: &PgPool) {
        for (expected, own) in &self.tables {
            let (expected, rows) = tokio::join!(rows(checked, expected), rows(&self.postgres, own));
            assert!(!expected.is_empty());
            if expected != rows {
                let missing: Vec<_> = expected.iter().filter(|row| !rows.contains(row)).take(3).collect();
                let wrong: Vec<_> = rows.iter().filter(|row| !expected.contains(row)).take(3).collect();
                panic!("{}: {own}: missing {missing:#?}, wrong {wrong:#?}", self.name);
            }
        }
        let parked = "select count(*) from aqueduct.parked where projection = $1";
        for (projection, _) in &self.readers {
            let parked: i64 =
                sqlx::query_scalar(parked).bind(projection).fetch_one(&self.postgres).await.unwrap();
            assert_eq!(parked, 0, "{projection}:\n{}", self.log());
        }
    }
}

/// In the order of their text. Numbers without the zeros at their end: they are equal for Postgres.
async fn rows(postgres: &PgPool, table: &str) -> Vec<String> {
    let rows = format!(
        "select (select string_agg(key || ' ' || case jsonb_typeof(value)
                            when 'number' then trim_scale(value::numeric)::text else value::text end, ', ' order by key)
                   from jsonb_each(to_jsonb(t)))
           from {table} t order by 1"
    );
    sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(postgres).await.unwrap()
}

/// A template. Its database is the one of the views that were checked: it has a schema and topics of its own.
fn template<'a>(installed: &'a Installed<'_>, kills: usize) -> Consumer<'a> {
    let projection = installed.template.projection();
    let environment =
        [("AQUEDUCT_TOPICS", format!("{PREFIX}.{TOPIC}")), ("AQUEDUCT_BATCH", BATCHES[0].to_owned())];
    Consumer {
        name: installed.template.name,
        command: Box::new(move || {
            let mut command = installed.command();
            command.envs(environment.clone());
            command
        }),
        log: installed.log(),
        postgres: installed.postgres.clone(),
        tables: ["orders", "revenue"].map(|it| (format!("shop.{it}"), format!("{projection}.{it}"))).into(),
        readers: vec![(projection, TOPIC)],
        running: Vec::new(),
        kills,
    }
}

/// The read models of the shop in a database of their own, in Rust (`shop project`) or in SQL files (`project`).
fn runner<'a>(
    name: &'static str,
    pipeline: &'a Pipeline,
    database: &(String, PgPool),
    kills: usize,
) -> Consumer<'a> {
    let (arguments, before_name, schema): (&[&str], _, _) = match name {
        "rust" => (&["shop", "project"], "", "shop"),
        _ => (&["project"], "sql_", "shop_sql"),
    };
    let environment = [
        ("AQUEDUCT_POSTGRES__URL", database.0.clone()),
        ("AQUEDUCT_KAFKA__PREFIX", name.to_owned()),
        ("AQUEDUCT_PROJECTION__TOPIC_PREFIX", PREFIX.to_owned()),
        ("AQUEDUCT_PROJECTION__BATCH_SIZE", BATCHES[1].to_owned()),
        ("AQUEDUCT_PROJECTION__SESSION_TIMEOUT_MS", "6000".to_owned()),
        ("AQUEDUCT_PROJECTION__DIRECTORY", format!("{ROOT}/crates/shop/projections")),
    ];
    let directory = environment.len() - usize::from(name == "rust");
    Consumer {
        name,
        command: Box::new(move || {
            let mut command = pipeline.command(arguments);
            command.envs(environment[..directory].iter().cloned());
            command
        }),
        log: pipeline.stack.data_dir().join(format!("{name}.log")),
        postgres: database.1.clone(),
        readers: READERS
            .iter()
            .filter(|(projection, _)| *projection != "inventory")
            .map(|(projection, topic)| (format!("{before_name}{projection}"), *topic))
            .collect(),
        tables: ["customers", "orders", "revenue", "stock"]
            .map(|it| (format!("shop.{it}"), format!("{schema}.{it}")))
            .into(),
        running: Vec::new(),
        kills,
    }
}

/// A database with the tables of the views in Rust and in SQL files.
async fn set_up_database(pipeline: &Pipeline) -> (String, PgPool) {
    let url = pipeline.stack.create_database("disturbed").await.unwrap();
    let mut setup = pipeline.command(&["shop", "setup"]);
    setup.env("AQUEDUCT_POSTGRES__URL", &url);
    setup.env("AQUEDUCT_PROJECTION__DIRECTORY", format!("{ROOT}/crates/shop/projections"));
    super::succeed(&mut setup);
    let pool = PgPool::connect(&url).await.unwrap();
    (url, pool)
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// Promise: each event changes the rows of a projection once, in whatever language it is written, whenever its instances are
/// killed.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_consumers_in_all_languages_have_the_same_rows() {
    let (kills, runner_kills) = (variable("CONSUMER_KILLS", 5), variable("RUNNER_KILLS", 5));
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("kills of consumers: {kills}, of the runner: {runner_kills}, KILL_SEED={seed}"));
    let mut random = Rng::with_seed(seed);
    let rounds = kills.max(runner_kills) * ROUNDS_FOR_100_KILLS / 100 + 2;

    let pipeline = filled_pipeline(rounds * ORDERS_A_ROUND).await;
    let checked = pipeline.postgres().await;
    let mut repeated = Repeated::create(&pipeline, rounds, &mut random).await;
    let mut templates = Vec::new();
    for it in [PYTHON, GO, TYPESCRIPT, JAVA] {
        templates.push(Installed::on(&pipeline, it).await);
    }
    let database = set_up_database(&pipeline).await;
    let mut consumers: Vec<_> = templates.iter().map(|installed| template(installed, kills)).collect();
    consumers.push(runner("sql", &pipeline, &database, kills));
    consumers.push(runner("rust", &pipeline, &database, runner_kills));
    for consumer in &mut consumers {
        (0..INSTANCES).for_each(|_| consumer.start());
    }

    while repeated.write_some() {
        let strikes = consumers.iter_mut().filter(|it| it.kills > 0).map(|consumer| {
            let end = consumer.end(&repeated);
            let mut random = random.fork();
            async move {
                let from = consumer.reached().await;
                if from < end {
                    consumer.kill_at(random.i64(from..end), end, &mut random).await;
                }
            }
        });
        join_all(strikes).await;
    }
    for consumer in &mut consumers {
        consumer.finish(consumer.end(&repeated)).await;
        assert_eq!(consumer.kills, 0, "{} was killed too seldom: its work was done", consumer.name);
        consumer.has_the_rows_of(&checked).await;
    }
}
