//! Stored events, read by schemas and by their candidates.

use aqueduct_core::mapping::{EventMapping, Selection};
use aqueduct_core::{ContentType, Position, RecordedEvent, StreamName};
use aqueduct_evolution::{Replay, Tally};
use aqueduct_schema::SchemaSet;
use aqueduct_schema::infer::HistoryRoute;
use bytes::Bytes;

use crate::support::Project;

fn event(number: u64, version: u32, data: &str) -> RecordedEvent {
    RecordedEvent {
        stream: StreamName::from("payment-1"),
        revision: number,
        position: Position::at(number),
        id: uuid::Uuid::from_u128(number.into()),
        event_type: "Paid".to_owned(),
        content_type: ContentType::Json,
        data: Bytes::from(data.to_owned()),
        metadata: match version {
            0 => Bytes::new(),
            version => Bytes::from(format!("{{\"schemaVersion\":{version}}}")),
        },
        created: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn routes() -> Vec<HistoryRoute> {
    let selector = Selection::of_categories(["payment"]).compile().unwrap();
    vec![HistoryRoute { selector, mapping: EventMapping::default(), json_types: None }]
}

const POUNDS: &str = r#"{"name": "lines", "type": {"type": "array", "items": "string"}}"#;
const PENCE: &str = r#"{"name": "pence", "type": "int", "upcast": "size(old.lines)"}"#;

fn set(project: &Project) -> SchemaSet {
    SchemaSet::load(project.folder.path()).unwrap()
}

#[test]
fn what_cannot_be_read_is_grouped_by_reason() {
    let schemas = set(&Project::new(&[POUNDS, PENCE]));
    let events = [
        event(0, 1, r#"{"lines": ["a"]}"#),
        event(1, 2, r#"{"pence": 2}"#),
        event(2, 0, r#"{"pence": 3}"#),
        event(3, 1, r#"{"lines": ["a", 1]}"#),
        event(4, 1, r#"{"lines": [2]}"#),
        event(5, 3, r#"{"pence": 1}"#),
        event(6, 0, "no JSON"),
        RecordedEvent { stream: StreamName::from("user-1"), ..event(7, 1, "not selected") },
        RecordedEvent { event_type: "paid out".to_owned(), ..event(8, 1, "{}") },
        RecordedEvent { content_type: ContentType::Binary, ..event(9, 1, "{}") },
    ];
    let routes = routes();
    let replay = Replay { routes: &routes, schemas: &schemas, today: None };
    let tally = replay.judge(&events);
    assert_eq!((tally.read(), tally.failed(), tally.new_failures()), (3, 6, 6));
    let shown = tally.to_string();
    assert!(shown.contains("Paid: 1 without a version, 1 of v1, 1 of v2"), "{shown}");
    assert!(
        shown.contains("the data does not fit the schema at lines[]: 2 events (3@payment-1, 4@payment-1)"),
        "{shown}"
    );
    assert!(shown.contains("there is no schema of this version: 1 event (5@payment-1)"), "{shown}");
    assert!(shown.contains("the data is not JSON: 1 event (6@payment-1)"), "{shown}");
    assert!(shown.contains("its content type is not JSON: 1 event (9@payment-1)"), "{shown}");
    assert!(shown.contains("events without a type: cannot be read"), "{shown}");

    // In parts, in order, and through a file.
    let mut merged = Tally::default();
    for part in events.chunks(3) {
        let text = serde_json::to_string(&merged).unwrap();
        merged = serde_json::from_str(&text).unwrap();
        merged.merge(replay.judge(part));
    }
    assert_eq!(merged, tally);
}

#[test]
fn a_candidate_is_compared_with_today() {
    let today = set(&Project::new(&[POUNDS, PENCE]));
    let corrected = set(&Project::new(&[POUNDS, &PENCE.replace("size(old.lines)", "size(old.lines) * 2")]));
    let narrower = set(&Project::new(&[
        POUNDS,
        PENCE,
        r#"{"name": "pence", "type": {"type": "enum", "name": "P", "symbols": ["A"]}, "upcast": "old.pence == 2 ? 'A' : 'B'"}"#,
    ]));
    let events = [event(0, 1, r#"{"lines": ["a"]}"#), event(1, 2, r#"{"pence": 2}"#), event(2, 2, "{}")];
    let routes = routes();
    let judge = |schemas| Replay { routes: &routes, schemas, today: Some(&today) }.judge(&events);
    let tally = judge(&corrected);
    assert_eq!((tally.read(), tally.failed(), tally.new_failures()), (2, 1, 0), "{tally}");
    assert_eq!(tally.changed["Paid"].references, ["0@payment-1"]);
    let tally = judge(&narrower);
    assert_eq!((tally.read(), tally.failed(), tally.new_failures()), (1, 2, 1), "{tally}");
    assert!(tally.changed.is_empty());
    assert!(tally.to_string().contains("1 of them not readable today either"), "{tally}");
}
