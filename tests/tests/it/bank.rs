//! The example of the crate `aqueduct`, on real servers: from a line on standard input to a row.

mod operators;
mod sql;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aqueduct_core::{EventStore as _, ExpectedRevision, NewEvent};
use aqueduct_devstack::{Child, Conditions, DevStack, Options};
use aqueduct_eventstore::EventStoreDb;
use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{PATIENCE, ROOT, eventually};

pub(crate) const BANK: &str = env!("CARGO_BIN_EXE_bank-under-test");
const CONFIGURATION: &str = include_str!("../../../crates/aqueduct/examples/bank/aqueduct.toml");
/// Tests run many instances on one machine.
const FREE_PORTS: &str = "[http]\nrelay = \"127.0.0.1:0\"\nproject = \"127.0.0.1:0\"\n";
/// Path of the schema in the bank's folder.
pub(crate) const SCHEMA_FILE: &str = "schemas/bank/Booked/v1.avsc";
const POLICY_FILE: &str = "schemas/policy.toml";
const POLICY: &str = include_str!("../../../crates/aqueduct/examples/bank/schemas/policy.toml");
pub(crate) const SCHEMA: &str =
    include_str!("../../../crates/aqueduct/examples/bank/schemas/bank/Booked/v1.avsc");

/// Lets the table refuse a balance of a million, and accept it again.
pub(crate) const BREAK: &str = "alter table bank.balances add constraint refused check (pence < 1000000)";
pub(crate) const FIX: &str = "alter table bank.balances drop constraint refused";
/// Counts the events that projections have parked.
pub(crate) const PARKED: &str = "select count(*) from aqueduct.parked where state = 'parked'";

/// Events appended in one call.
const APPENDED: usize = 1_000;

/// The bank on servers of its own.
pub(crate) struct Bank {
    folder: TempDir,
    pub(crate) stack: DevStack,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) store: EventStoreDb,
}

impl Bank {
    /// Starts the servers and writes the bank's folder, with more lines for the configuration.
    pub(crate) async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_bank(folder.path(), more);
        let stack = DevStack::start(Options::all()).await.unwrap();
        let store = stack.event_store_url().unwrap();
        let environment = vec![
            ("AQUEDUCT_EVENTSTORE__URL", store.to_owned()),
            ("AQUEDUCT_KAFKA__BROKERS", stack.kafka_bootstrap().unwrap().to_owned()),
            ("AQUEDUCT_REGISTRY__URL", stack.registry_url().unwrap().to_owned()),
            ("AQUEDUCT_POSTGRES__URL", stack.postgres_url().unwrap().to_owned()),
        ];
        let store = EventStoreDb::new(aqueduct_eventstore::Options::new(store)).unwrap();
        Self { folder, stack, environment, store }
    }

    pub(crate) async fn postgres(&self) -> PgPool {
        PgPool::connect(self.stack.postgres_url().unwrap()).await.unwrap()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BANK);
        command.args(arguments).current_dir(&self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `aqueduct status` reports.
    pub(crate) fn status(&self) -> Value {
        let output = self.run(&["status", "--json", "--interval", "1"], "");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How many events the relay has in a state: parked, skipped or discarded.
    pub(crate) fn exceptions(&self, state: &str) -> usize {
        let list = ["parked", "list", "--route", "accounts", "--json", "--limit", "10000000"];
        let listed = self.succeed(&list, "");
        let has_state = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["state"] == state;
        listed.lines().filter(has_state).count()
    }

    /// Starts a command and returns while it runs. Its log has the name of its first argument.
    pub(crate) fn process(&self, arguments: &[&str]) -> Child {
        let log = self.path(&format!("{}.log", arguments[0]));
        Child::spawn(self.command(arguments), &Conditions::plain(), &log).unwrap()
    }

    /// Appends events as another program would: `Booked` without metadata.
    pub(crate) async fn append(&self, stream: &str, data: impl IntoIterator<Item = String>) {
        let event = |data: String| NewEvent {
            id: format!("{:08x}-0000-4000-8000-{:012x}", fastrand::u32(..), fastrand::u64(..1 << 48))
                .parse()
                .unwrap(),
            event_type: "Booked".to_owned(),
            data: data.into_bytes().into(),
            metadata: Default::default(),
        };
        let events: Vec<_> = data.into_iter().map(event).collect();
        for events in events.chunks(APPENDED) {
            self.store.append(&stream.into(), ExpectedRevision::Any, events).await.unwrap();
        }
    }
}

/// Ends a process in order.
pub(crate) async fn stop(process: &mut Child) {
    process.signal(Signal::SIGTERM);
    assert!(process.wait(PATIENCE).await.unwrap().is_some_and(|status| status.success()));
}

/// Ends a process as a lost machine would.
pub(crate) async fn kill(process: &mut Child) {
    process.signal(Signal::SIGKILL);
    assert!(process.wait(PATIENCE).await.unwrap().is_some());
}

/// Writes schema and configuration, with more lines for the configuration.
pub(crate) fn write_bank(folder: &Path, more: &str) {
    let schema = folder.join(SCHEMA_FILE);
    std::fs::create_dir_all(schema.parent().unwrap()).unwrap();
    std::fs::write(schema, SCHEMA).unwrap();
    std::fs::write(folder.join("aqueduct.toml"), format!("{FREE_PORTS}\n{CONFIGURATION}\n{more}")).unwrap();
    std::fs::write(folder.join(POLICY_FILE), POLICY).unwrap();
}

#[test]
fn the_example_is_at_most_60_lines() {
    let source = std::fs::read_to_string(Path::new(ROOT).join("crates/aqueduct/examples/bank.rs")).unwrap();
    assert!(source.lines().count() <= 60, "{} lines", source.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_teller_becomes_a_row() {
    let bank = Bank::start("").await;

    assert!(bank.succeed(&["schemas", "generate"], "").contains("pub struct Booked"));
    let set_up =
        "topics: bank.accounts\nsubjects: bank.accounts-bank.Booked\ntables in schema: aqueduct, bank\n";
    for _ in 0..2 {
        assert_eq!(bank.succeed(&["setup"], ""), set_up);
    }
    bank.succeed(&["service", "teller"], "7 255\n8 100\n");
    bank.succeed(&["teller"], "7 -55\n");
    let overdrawn = bank.run(&["teller"], "8 -101\n");
    let said = String::from_utf8_lossy(&overdrawn.stderr);
    assert_eq!(overdrawn.status.code(), Some(1), "{said}");
    assert!(said.contains("error: the account has only 100 pence"), "{said}");

    let mut processes = [bank.process(&["relay"]), bank.process(&["project"])];
    let pool = bank.postgres().await;
    eventually("the balances are there", async || {
        let rows = sqlx::query_as("select account, pence from bank.balances order by account");
        let balances: Vec<(String, i64)> = rows.fetch_all(&pool).await.unwrap();
        (balances == [("7".to_owned(), 200), ("8".to_owned(), 100)]).then_some(())
    })
    .await;
    // The App's migrations are recorded apart from the product's.
    for history in ["bank.migrations", "aqueduct.projection_migrations"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {history}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&pool).await.unwrap();
        assert!(count > 0, "{history}");
    }
    for process in &mut processes {
        stop(process).await;
    }
}

#[test]
fn the_readme_shows_the_example() {
    let example = std::fs::read_to_string(Path::new(ROOT).join("crates/aqueduct/examples/bank.rs")).unwrap();
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy the example into the README");
}
