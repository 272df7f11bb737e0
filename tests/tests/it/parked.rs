//! What an operator does with events that the relay parked. Guarantee 6.

use std::path::Path;
use std::process::{Command, Output};

use aqueduct_core::{EventStore as _, ExpectedRevision, NewEvent};
use aqueduct_devstack::{Child, Conditions, DevStack, Options, Part};
use aqueduct_eventstore::EventStoreDb;
use nix::sys::signal::Signal;

use crate::support::{BINARY, PATIENCE, eventually};

const CONFIGURATION: &str = r#"
[kafka]
prefix = "notes"

[http]
relay = "127.0.0.1:0"

[relay]
on_bad_event = "park"

[[relay.routes]]
name = "notes"
topic = "notes.notes"
categories = ["note"]
"#;
const SCHEMA: &str = r#"{"type": "record", "name": "Noted", "namespace": "notes", "fields": [{"name": "text", "type": "string"}]}"#;
const POLICY: &str = "[topics.\"notes.notes\"]\nevents = [\"Noted\"]\n";
const GOOD: &str = r#"{"text": "secret"}"#;
const BAD: &str = r#"{"words": "secret"}"#;

/// A system without a database.
struct Notes<'a> {
    folder: &'a Path,
    environment: [(&'static str, String); 3],
}

impl Notes<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Standard output, and everything that was said.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let stdout = text(stdout);
        let all = format!("{stdout}{}", text(stderr));
        (status.code(), stdout, all)
    }

    fn listed(&self) -> Vec<serde_json::Value> {
        let (code, stdout, all) = self.run(&["parked", "list", "--json"]);
        assert_eq!(code, Some(0), "{all}");
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lists_replays_and_discards_the_relays_events() {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("schemas/notes/Noted/v1.avsc");
    std::fs::create_dir_all(schema.parent().unwrap()).unwrap();
    std::fs::write(schema, SCHEMA).unwrap();
    std::fs::write(folder.path().join("schemas/policy.toml"), POLICY).unwrap();
    std::fs::write(folder.path().join("aqueduct.toml"), CONFIGURATION).unwrap();
    let (kafka, registry, event_store) = (Part::start(), Part::start(), Part::start());
    let stack = DevStack::start(Options { kafka, registry, event_store, ..Options::none() }).await.unwrap();
    let url = stack.event_store_url().unwrap();
    let environment = [
        ("AQUEDUCT_EVENTSTORE__URL", url.to_owned()),
        ("AQUEDUCT_KAFKA__BROKERS", stack.kafka_bootstrap().unwrap().to_owned()),
        ("AQUEDUCT_REGISTRY__URL", stack.registry_url().unwrap().to_owned()),
    ];
    let notes = Notes { folder: folder.path(), environment };
    let (code, _, all) = notes.run(&["setup"]);
    assert_eq!(code, Some(0), "{all}");
    assert!(notes.listed().is_empty());

    let store = EventStoreDb::new(aqueduct_eventstore::Options::new(url)).unwrap();
    let events = [("note-1", GOOD), ("note-1", BAD), ("note-1", GOOD), ("note-2", GOOD)];
    for (n, (stream, data)) in events.into_iter().enumerate() {
        let event = NewEvent {
            id: format!("00000000-0000-4000-8000-00000000000{n}").parse().unwrap(),
            event_type: "Noted".to_owned(),
            data: data.into(),
            metadata: Default::default(),
        };
        store.append(&stream.into(), ExpectedRevision::Any, &[event]).await.unwrap();
    }
    let log = folder.path().join("relay.log");
    let mut relay = Child::spawn(notes.command(&["relay"]), &Conditions::plain(), &log).unwrap();
    let parked = eventually("two events are parked", async || {
        let listed = notes.listed();
        (listed.len() == 2).then_some(listed)
    })
    .await;
    let shown: Vec<_> = parked.iter().map(|it| [&it["event"], &it["state"], &it["code"]]).collect();
    assert_eq!(shown, [["1@note-1", "parked", "payload"], ["2@note-1", "parked", "blocked"]]);

    let (code, stdout, all) = notes.run(&["parked", "show", "1@note-1"]);
    assert_eq!(code, Some(0), "{all}");
    assert!(stdout.contains("event type: Noted") && !stdout.contains("secret"), "{stdout}");
    let (_, stdout, all) = notes.run(&["parked", "show", "1@note-1", "--payload"]);
    let payload: String = BAD.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(stdout.contains(&format!("data: {payload}")), "{all}");

    let (code, stdout, all) = notes.run(&["parked", "replay", "--route", "notes", "--code", "payload"]);
    assert_eq!(code, Some(1), "what fails again is not done: {all}");
    assert!(stdout.contains("0 events replayed, 0 discarded, 1 parked again"), "{all}");
    assert!(stdout.contains("lane 0: 1@note-1: payload: "), "{all}");

    let discard = ["parked", "discard", "--route", "notes", "--stream", "note-1", "--revision", "1"];
    let (code, stdout, all) = notes.run(&discard);
    assert_eq!(code, Some(0), "{all}");
    assert!(stdout.contains("1@note-1") && all.contains("nothing was discarded"), "{all}");
    assert_eq!(notes.listed().len(), 2);
    let (code, stdout, all) = notes.run(&[&discard[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{all}");
    assert!(stdout.contains("1 events replayed, 1 discarded, 0 parked again"), "{all}");
    let listed = notes.listed();
    assert_eq!((listed.len(), &listed[0]["state"]), (1, &"discarded".into()));

    let (code, _, all) = notes.run(&["parked", "skip", "0@note-2", "--route", "notes"]);
    assert_eq!(code, Some(1), "{all}");
    assert!(all.contains("the lane has passed 0@note-2"), "{all}");
    let (code, _, all) = notes.run(&["parked", "replay", "--route", "note", "--all"]);
    assert_eq!(code, Some(1), "{all}");
    assert!(all.contains("there is no route \"note\", only: notes"), "{all}");

    relay.signal(Signal::SIGTERM);
    assert!(relay.wait(PATIENCE).await.unwrap().is_some_and(|status| status.success()));
}
