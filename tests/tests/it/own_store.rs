//! A user's directory and servers, with a store that other programs filled: from `aqueduct init` to `aqueduct verify`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use aqueduct_devstack::{Child, Conditions, DevStack, Options, Part};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{BINARY, PATIENCE, eventually, while_moving};

/// The route that `init` writes.
const EXAMPLE_ROUTE: &str = "[[relay.routes]]\nname = \"example\"\ntopic = \"aqueduct.example\"\n\
                             categories = [\"example\"]\n";

/// A directory that `init` made, and servers without Postgres.
pub(crate) struct OwnStore {
    folder: TempDir,
    stack: DevStack,
}

impl OwnStore {
    pub(crate) async fn start() -> Self {
        let options = Options {
            kafka: Part::start(),
            registry: Part::start(),
            event_store: Part::start(),
            ..Options::none()
        };
        let own =
            Self { folder: tempfile::tempdir().unwrap(), stack: DevStack::start(options).await.unwrap() };
        own.succeed(&["init"]);
        own
    }

    pub(crate) fn event_store_url(&self) -> &str {
        self.stack.event_store_url().unwrap()
    }

    pub(crate) fn brokers(&self) -> &str {
        self.stack.kafka_bootstrap().unwrap()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Replaces the example's route, as a user edits the file.
    pub(crate) fn configure_routes(&self, routes: &str) {
        self.edit(EXAMPLE_ROUTE, routes);
    }

    /// Adds lines below the heading of a section.
    pub(crate) fn add_to(&self, heading: &str, lines: &str) {
        self.edit(&format!("\n{heading}\n"), &format!("\n{heading}\n{lines}"));
    }

    fn edit(&self, old: &str, new: &str) {
        let file = self.path("aqueduct.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{old:?} in\n{text}");
        fs::write(&file, text.replacen(old, new, 1)).unwrap();
    }

    /// `aqueduct` in the directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(&self.folder);
        for (key, value) in self.environment() {
            command.env(key, value);
        }
        command
    }

    /// Where the servers are, as environment variables.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("AQUEDUCT_EVENTSTORE__URL", self.event_store_url()),
            ("AQUEDUCT_KAFKA__BROKERS", self.brokers()),
            ("AQUEDUCT_REGISTRY__URL", self.stack.registry_url().unwrap()),
            ("AQUEDUCT_HTTP__RELAY", "127.0.0.1:0"),
        ]
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that must succeed.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a relay.
    pub(crate) fn relay(&self) -> Relay {
        let log = self.path("relay.log");
        Relay { child: Child::spawn(self.command(&["relay"]), &Conditions::plain(), &log).unwrap(), log }
    }

    /// The relay's lanes, as `status` shows them.
    fn lanes(&self, relay: &mut Relay) -> Vec<Value> {
        assert!(relay.child.ended().unwrap().is_none(), "{}", relay.log());
        let status = self.succeed(&["status", "--json", "--interval", "1"]);
        let mut status: Value = serde_json::from_str(&status).unwrap();
        serde_json::from_value(status["lanes"].take()).unwrap()
    }

    /// The report of `verify` once it finds nothing wrong.
    pub(crate) async fn verified(&self, relay: &mut Relay) -> Value {
        while_moving("the relay has read the store", async || {
            let lanes = self.lanes(relay);
            let is_done = lanes.iter().all(|lane| lane["lag"] == 0);
            if is_done {
                Ok(())
            } else {
                Err(lanes.iter().map(|lane| lane["position"].clone()).collect::<Vec<_>>())
            }
        })
        .await;
        let mut last = String::new();
        eventually("verify finds nothing wrong", async || {
            assert!(relay.child.ended().unwrap().is_none(), "{}", relay.log());
            let output = self.run(&["verify", "--json"]);
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            if report != last {
                last.clone_from(&report);
                crate::support::say(&format!("verify: {}", report.chars().take(2_000).collect::<String>()));
            }
            output.status.success().then(|| serde_json::from_str(&report).unwrap())
        })
        .await
    }

    /// The events that were not relayed, as `parked list` shows them.
    pub(crate) fn parked(&self) -> Vec<Value> {
        let listed = self.succeed(&["parked", "list", "--json", "--limit", "100000"]);
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The schema of the latest version of an event type.
    pub(crate) fn latest_schema(&self, context: &str, event_type: &str) -> Value {
        let folder = self.path("schemas").join(context).join(event_type);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let latest = files.count();
        let text = fs::read_to_string(folder.join(format!("v{latest}.avsc"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// A running relay.
pub(crate) struct Relay {
    child: Child,
    log: PathBuf,
}

impl Relay {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        self.child.signal(Signal::SIGTERM);
        let ended = self.child.wait(PATIENCE).await.unwrap();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", self.log());
    }
}

/// The lines of a section that a command prints for the user to paste.
#[track_caller]
pub(crate) fn printed_section<'o>(output: &'o str, heading: &str) -> &'o str {
    // `init` wrote the heading.
    let below = output.split_once(&format!("add below {heading} in aqueduct.toml, "));
    let (_, rest) =
        below.and_then(|(_, rest)| rest.split_once(":\n\n")).unwrap_or_else(|| panic!("{heading}: {output}"));
    rest.split_inclusive("\n\n").next().map_or(rest, |section| section.strip_suffix('\n').unwrap_or(section))
}

/// The type of a field by its path, `price.amount`; null, and arrays and maps on the way, are left out.
#[track_caller]
pub(crate) fn type_at(schema: &Value, path: &str) -> Value {
    let mut schema = schema.clone();
    for name in path.split('.') {
        let fields = schema["fields"].as_array().unwrap_or_else(|| panic!("{path}: {schema}"));
        let field = fields.iter().find(|field| field["name"] == name);
        schema = field.unwrap_or_else(|| panic!("{path}: {schema}"))["type"].clone();
        if let Some([null, of]) = schema.as_array().map(Vec::as_slice) {
            schema = if null == "null" { of.clone() } else { schema };
        }
        for inner in ["items", "values"] {
            schema = schema.get(inner).cloned().unwrap_or(schema);
        }
    }
    schema
}
