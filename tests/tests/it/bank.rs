//! The example of the crate `aqueduct`, on real servers: from a line on standard input to a row.

mod operators;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use aqueduct_devstack::{Child, Conditions, DevStack, Options};
use nix::sys::signal::Signal;
use sqlx::PgPool;

use crate::support::{PATIENCE, ROOT, eventually};

pub(crate) const BANK: &str = env!("CARGO_BIN_EXE_bank-under-test");
pub(crate) const CONFIGURATION: &str = r#"
[kafka]
prefix = "bank"

[schemas.contexts]
"bank.accounts" = ["bank"]

[http]
relay = "127.0.0.1:0"
project = "127.0.0.1:0"

[[relay.routes]]
name = "accounts"
topic = "bank.accounts"
categories = ["account"]
"#;
pub(crate) const SCHEMA: &str = r#"{
  "type": "record", "name": "Booked", "namespace": "bank",
  "fields": [{ "name": "account", "type": "string" }, { "name": "pence", "type": "long" }]
}"#;

/// The bank in a folder of its own.
pub(crate) struct Bank<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Bank<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BANK);
        command.args(arguments).current_dir(self.folder);
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

    pub(crate) fn process(&self, name: &str) -> Child {
        let log = self.folder.join(format!("{name}.log"));
        Child::spawn(self.command(&[name]), &Conditions::plain(), &log).unwrap()
    }
}

/// Writes schema and configuration, with more lines for the configuration.
pub(crate) fn write_bank(folder: &Path, more: &str) {
    let schema = folder.join("schemas/bank/Booked/v1.avsc");
    std::fs::create_dir_all(schema.parent().unwrap()).unwrap();
    std::fs::write(schema, SCHEMA).unwrap();
    std::fs::write(folder.join("aqueduct.toml"), format!("{CONFIGURATION}\n{more}")).unwrap();
}

#[test]
fn the_example_is_at_most_60_lines() {
    let source = std::fs::read_to_string(Path::new(ROOT).join("crates/aqueduct/examples/bank.rs")).unwrap();
    assert!(source.lines().count() <= 60, "{} lines", source.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_teller_becomes_a_row() {
    let folder = tempfile::tempdir().unwrap();
    write_bank(folder.path(), "");
    let stack = DevStack::start(Options::all()).await.unwrap();
    let postgres = stack.postgres_url().unwrap().to_owned();
    let environment = vec![
        ("AQUEDUCT_EVENTSTORE__URL", stack.event_store_url().unwrap().to_owned()),
        ("AQUEDUCT_KAFKA__BROKERS", stack.kafka_bootstrap().unwrap().to_owned()),
        ("AQUEDUCT_REGISTRY__URL", stack.registry_url().unwrap().to_owned()),
        ("AQUEDUCT_POSTGRES__URL", postgres.clone()),
    ];
    let bank = Bank { folder: folder.path(), environment };

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

    let mut processes = [bank.process("relay"), bank.process("project")];
    let pool = PgPool::connect(&postgres).await.unwrap();
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
        process.signal(Signal::SIGTERM);
        assert!(process.wait(PATIENCE).await.unwrap().is_some_and(|status| status.success()));
    }
}

#[test]
fn the_readme_shows_the_example() {
    let example = std::fs::read_to_string(Path::new(ROOT).join("crates/aqueduct/examples/bank.rs")).unwrap();
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy the example into the README");
}
