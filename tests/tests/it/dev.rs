//! `aqueduct dev` as a user runs it: from an empty folder, in one's own App, and next to the servers of others.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use aqueduct_devstack::{Child, Conditions, DevStack, Options, Part};
use nix::sys::signal::Signal;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use sqlx::PgPool;

use crate::bank::{BANK, write_bank};
use crate::support::{BINARY, PATIENCE, eventually, say};

/// How long Ctrl-C may take. Generous: the machine also runs the other tests.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const SERVERS: [&str; 4] = ["eventstore", "kafka", "registry", "postgres"];

/// Ports that are free, for the servers that are not remote.
fn ports(remote: &[&str]) -> Vec<String> {
    let listeners: Vec<_> = SERVERS.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports = SERVERS.iter().zip(&listeners).filter(|(server, _)| !remote.contains(server));
    let ports = ports.flat_map(|(server, listener)| {
        [format!("--{server}-port"), listener.local_addr().unwrap().port().to_string()]
    });
    ports.chain(["--http-port".to_owned(), "0".to_owned()]).collect()
}

fn run(binary: &str, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output = run(BINARY, folder, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// A running `dev`.
struct Dev {
    child: Child,
    /// What it printed to be copied into a shell.
    environment: BTreeMap<String, String>,
}

impl Dev {
    /// Waits until the pipeline runs.
    async fn start(binary: &str, folder: &Path, arguments: &[String]) -> Self {
        let log = folder.join("dev.log");
        let before = std::fs::read(&log).map_or(0, |text| text.len());
        let mut command = Command::new(binary);
        command.arg("dev").args(arguments).current_dir(folder);
        let mut child = Child::spawn(command, &Conditions::plain(), &log).unwrap();
        let output = eventually("dev runs", async || {
            let output = std::fs::read_to_string(&log).unwrap()[before..].to_owned();
            assert!(child.ended().unwrap().is_none(), "dev ended:\n{output}");
            output.contains("listening on http").then_some(output)
        })
        .await;
        let exported = output.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let environment =
            exported.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
        Self { child, environment }
    }

    fn address(&self, name: &str) -> &str {
        &self.environment[name]
    }

    /// Ctrl-C.
    async fn interrupt(mut self) -> Duration {
        let asked = Instant::now();
        self.child.signal(Signal::SIGINT);
        let ended = self.child.wait(PATIENCE).await.unwrap();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
        asked.elapsed()
    }
}

fn topics(brokers: &str) -> Vec<String> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let metadata = client.fetch_metadata(None, PATIENCE).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    names.filter(|name| !name.starts_with("__")).collect()
}

fn teller(folder: &Path, dev: &Dev, line: &str) {
    let mut command = Command::new(BANK);
    command.arg("teller").current_dir(folder).envs(&dev.environment);
    let log = folder.join("line");
    std::fs::write(&log, line).unwrap();
    let output = command.stdin(std::fs::File::open(&log).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn balance(postgres: &str, expected: i64) {
    let pool = PgPool::connect(postgres).await.unwrap();
    eventually("the balance is there", async || {
        let balance = sqlx::query_scalar("select pence from bank.balances where account = '7'");
        let balance: Option<i64> = balance.fetch_optional(&pool).await.unwrap();
        (balance == Some(expected)).then_some(())
    })
    .await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_runs() {
    let folder = tempfile::tempdir().unwrap();
    let written = run(BINARY, folder.path(), &["init", "x"]);
    assert!(written.status.success(), "{written:?}");
    let dev = Dev::start(BINARY, &folder.path().join("x"), &ports(&[])).await;
    let topics = topics(dev.address("AQUEDUCT_KAFKA__BROKERS"));
    assert!(topics.contains(&"aqueduct.example".to_owned()), "{topics:?}");
    let registry = dev.address("AQUEDUCT_REGISTRY__URL");
    let subjects = reqwest::get(format!("{registry}/subjects")).await.unwrap().text().await.unwrap();
    assert!(subjects.contains("aqueduct.example-example.ExamplePlaced"), "{subjects}");

    // The data is next to the configuration, and a second stack on it is refused.
    let said = refusal(
        &folder.path().join("x"),
        &[&["dev"][..], &ports(&[]).iter().map(String::as_str).collect::<Vec<_>>()].concat(),
    );
    assert!(said.contains(".aqueduct is in use by process"), "{said}");
    dev.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_continues_with_the_data() {
    let folder = tempfile::tempdir().unwrap();
    write_bank(folder.path(), "");
    let ports = ports(&[]);
    let mut times = Vec::new();
    for (line, expected) in [("7 255\n", 255), ("7 -55\n", 200)] {
        let started = Instant::now();
        let dev = Dev::start(BANK, folder.path(), &ports).await;
        let started = started.elapsed();
        teller(folder.path(), &dev, line);
        balance(dev.address("AQUEDUCT_POSTGRES__URL"), expected).await;
        times.push((started, dev.interrupt().await));
    }
    say(&format!("dev: starts and ends in {times:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_kafka_of_others_everything_has_a_prefix() {
    let own = Options { kafka: Part::start(), postgres: Part::start(), ..Options::none() };
    let others = DevStack::start(own).await.unwrap();
    let (brokers, postgres) = (others.kafka_bootstrap().unwrap(), others.postgres_url().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let addresses = format!("[postgres]\nurl = '{postgres}'\n");
    write_bank(folder.path(), &addresses);
    let configuration = folder.path().join("aqueduct.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let with_brokers = text.replace("[kafka]\n", &format!("[kafka]\nbrokers = '{brokers}'\n"));
    std::fs::write(&configuration, with_brokers).unwrap();

    let mut arguments = ports(&["kafka", "postgres"]);
    arguments.extend(["--remote".to_owned(), "kafka,postgres".to_owned()]);
    let dev = Dev::start(BANK, folder.path(), &arguments).await;
    let prefix = dev.address("AQUEDUCT_KAFKA__PREFIX").to_owned();
    assert!(prefix.starts_with("bank-dev-"), "{prefix}");
    teller(folder.path(), &dev, "7 255\n");
    let database = postgres.replace("/aqueduct?", &format!("/{prefix}?"));
    assert_ne!(database, postgres);
    balance(&database, 255).await;
    let created = topics(brokers);
    assert!(created.contains(&format!("{prefix}.bank.accounts")), "{created:?}");
    assert!(created.iter().all(|topic| topic.starts_with(&prefix)), "{created:?}");
    let pool = PgPool::connect(postgres).await.unwrap();
    let tables: i64 =
        sqlx::query_scalar("select count(*) from pg_tables where schemaname in ('aqueduct', 'bank')")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(tables, 0, "the configured database is untouched");
    pool.close().await;
    dev.interrupt().await;
    others.shutdown().await;
}

#[test]
fn what_can_not_start_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let configure = |text: &str| std::fs::write(folder.path().join("aqueduct.toml"), text).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    configure("");
    let said = refusal(folder.path(), &["dev", "--servers-only", "--kafka-port", &port]);
    assert!(
        said.contains(&format!("port {port} of kafka is in use")) && said.contains("--kafka-port PORT"),
        "{said}"
    );
    let said = refusal(folder.path(), &["dev", "--http-port", &port]);
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{said}");
    let said = refusal(folder.path(), &["dev", "--remote", "registry"]);
    assert!(said.contains("`registry.url` is not configured"), "{said}");

    configure(&format!("[registry]\nurl = 'http://localhost:{port}'"));
    let said = refusal(folder.path(), &["dev", "--servers-only"]);
    assert!(said.contains("--remote registry"), "{said}");

    configure("[postgres]\nurl = 'postgres://me:hunter2@db.example/shop'");
    let said = refusal(folder.path(), &["dev", "--servers-only"]);
    assert!(said.contains("`postgres.url` names another machine (db.example)"), "{said}");
    assert!(said.contains("--remote postgres") && !said.contains("hunter2"), "{said}");
    assert!(!folder.path().join(".aqueduct").exists(), "nothing was started");
}
