//! A store of accounts and its topic, in memory.

use std::collections::BTreeMap;

use aqueduct_core::{Position, RecordedEvent, StreamName};
use aqueduct_verify::testing::{Collected, Inbox, InboxOffset, InboxStream, Judged, Record, partition};
use aqueduct_verify::{Options, Selection};
use serde_json::{Value, json};

pub(crate) const TOPIC: &str = "bank.accounts";
pub(crate) const PARTITIONS: i32 = 3;

pub(crate) const SCHEMA: &str = r#"{"type": "record", "name": "bank.Deposited", "fields": [
    {"name": "account", "type": "string"},
    {"name": "amount", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

/// What is checked: all events of accounts, and the projection `balances`.
pub(crate) fn options() -> Options {
    let mut options = Options::new("", "", "");
    options.topics.insert(TOPIC.to_owned(), Selection::of_categories(["account"]).into());
    options.projections.insert("balances".to_owned(), vec![TOPIC.to_owned()]);
    options.shown = 1_000;
    options
}

/// The n-th event of the store.
pub(crate) fn event(stream: &str, revision: u64, n: u64, data: &Value, metadata: &Value) -> RecordedEvent {
    RecordedEvent {
        stream: StreamName::from(stream),
        revision,
        position: Position::at(n * 100),
        id: uuid::Uuid::from_u128(n.into()),
        event_type: "Deposited".to_owned(),
        content_type: aqueduct_core::ContentType::Json,
        data: serde_json::to_vec(data).unwrap().into(),
        metadata: if metadata.is_null() { Vec::new() } else { serde_json::to_vec(metadata).unwrap() }.into(),
        created: "2026-11-28T10:00:00Z".parse().unwrap(),
    }
}

/// Six accounts with five deposits each, one account after the other in turn; no metadata.
pub(crate) fn accounts() -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    for revision in 0..5 {
        for account in 0..6 {
            let stream = format!("account-{account}");
            let data = json!({"account": stream, "amount": revision * 10 + account});
            events.push(event(&stream, revision, events.len() as u64 + 1, &data, &Value::Null));
        }
    }
    events
}

/// Zigzag and variable length, as Avro writes a long.
fn long(value: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

pub(crate) fn value(account: &str, amount: i64) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 1];
    long(i64::try_from(account.len()).unwrap(), &mut bytes);
    bytes.extend(account.as_bytes());
    long(amount, &mut bytes);
    bytes.push(0);
    bytes
}

/// The record of an event. `previous` is the revision of the one before it in the topic.
pub(crate) fn record(event: &RecordedEvent, previous: Option<u64>, version: u32) -> Record {
    let data: Value = serde_json::from_slice(&event.data).unwrap();
    let amount = data["amount"].as_f64().unwrap_or_default();
    let previous = previous.map_or_else(|| "-1".to_owned(), |previous| previous.to_string());
    let key = event.stream.as_str();
    let headers = [
        ("content-type", "application/avro".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.reference()),
        ("ce_type", "bank.Deposited".to_owned()),
        ("ce_source", "aqueduct/eventstore".to_owned()),
        ("ce_subject", key.to_owned()),
        ("ce_time", event.created.to_string()),
        ("ce_eventid", event.id.to_string()),
        ("ce_revision", event.revision.to_string()),
        ("ce_previousrevision", previous),
        ("ce_position", event.position.to_string()),
        ("ce_schemaversion", version.to_string()),
    ];
    Record {
        partition: partition(key.as_bytes(), PARTITIONS),
        offset: i64::try_from(event.position.commit).unwrap(),
        key: Some(key.as_bytes().to_vec()),
        headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec(),
        unnamed_headers: 0,
        #[expect(clippy::cast_possible_truncation, reason = "small amounts")]
        value: Some(value(data["account"].as_str().unwrap_or_default(), amount as i64)),
    }
}

/// What an honest run makes of the events, all of which the topic selects.
pub(crate) fn relayed(events: Vec<RecordedEvent>) -> Collected {
    let mut last: BTreeMap<StreamName, u64> = BTreeMap::new();
    let mut records = Vec::new();
    for event in &events {
        let previous = last.insert(event.stream.clone(), event.revision);
        records.push(record(event, previous, 1));
    }
    let row = |(stream, revision): (&StreamName, &u64)| InboxStream {
        projection: "balances".to_owned(),
        source: "aqueduct/eventstore".to_owned(),
        topic: TOPIC.to_owned(),
        stream: stream.to_string(),
        revision: i64::try_from(*revision).unwrap(),
    };
    let streams = last.iter().map(row).collect();
    let mut ends = BTreeMap::new();
    for record in &records {
        ends.insert(record.partition, record.offset + 1);
    }
    let row = |(partition, next)| InboxOffset {
        projection: "balances".to_owned(),
        topic: TOPIC.to_owned(),
        partition,
        next: Some(next),
    };
    let offsets = ends.into_iter().map(row).collect();
    Collected {
        events,
        records: [(TOPIC.to_owned(), records)].into(),
        partitions: PARTITIONS,
        schemas: [(1, SCHEMA.to_owned())].into(),
        files: BTreeMap::new(),
        deleted: Vec::new(),
        exceptions: BTreeMap::new(),
        later: BTreeMap::new(),
        inbox: Inbox { streams, offsets, parked: Vec::new() },
        rows: BTreeMap::new(),
    }
}

/// The findings as text.
pub(crate) fn findings(collected: &Collected) -> Vec<String> {
    texts(&collected.judge(&options(), None))
}

pub(crate) fn texts(judged: &Judged) -> Vec<String> {
    judged.findings.kept().iter().map(ToString::to_string).collect()
}

/// The records of the topic.
pub(crate) fn records(collected: &mut Collected) -> &mut Vec<Record> {
    collected.records.get_mut(TOPIC).unwrap()
}

/// Place of an event's record among the records.
pub(crate) fn place(collected: &Collected, reference: &str) -> usize {
    let is_it = |record: &Record| {
        record.headers.iter().any(|(name, value)| name == "ce_id" && value == reference.as_bytes())
    };
    collected.records[TOPIC].iter().position(is_it).expect(reference)
}
