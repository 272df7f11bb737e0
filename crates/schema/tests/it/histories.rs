//! Events that real libraries wrote, encoded by hand-written schemas.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use aqueduct_core::Codec;
use aqueduct_schema::SchemaSet;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Event {
    stream: String,
    revision: u64,
    #[serde(rename = "type")]
    stored_type: String,
    data: Option<String>,
    metadata: Option<String>,
}

fn events(file: &str) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/histories").join(file);
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn schemas() -> SchemaSet {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/histories");
    SchemaSet::load(folder).unwrap()
}

/// The event type and version in the schemas, where there is one for it.
fn mapped(event: &Event) -> Option<(String, u32)> {
    let stored = event.stored_type.as_str();
    let short = stored.split(',').next().unwrap_or(stored).rsplit('.').next().unwrap_or(stored);
    if let Some((version, name)) = stored.strip_prefix('V').and_then(|rest| rest.split_once('.')) {
        return Some((name.to_owned(), version.parse().ok()?));
    }
    match stored {
        "ticket.opened.v1" => Some(("TicketOpened".to_owned(), 1)),
        "ticket.commented.v1" => Some(("TicketCommented".to_owned(), 1)),
        _ if stored.starts_with("User") => {
            let metadata: Value = serde_json::from_str(event.metadata.as_deref()?).ok()?;
            Some((stored.to_owned(), metadata["eventVersion"].as_u64().unwrap_or(1).try_into().ok()?))
        }
        _ if stored.contains("Envelope") || event.stream.starts_with("device-") => None,
        _ => Some((short.to_owned(), 1)),
    }
}

/// Encodes every event for which there is a schema; returns how many there were of each type.
fn encode_all(file: &str) -> BTreeMap<String, usize> {
    let set = schemas();
    let mut counts = BTreeMap::new();
    for event in events(file) {
        let Some((event_type, version)) = mapped(&event) else { continue };
        let (data, place) = (event.data.unwrap(), format!("{}@{}", event.revision, event.stream));
        let avro = set.to_avro(&event_type, version, data.as_bytes());
        let avro = avro.unwrap_or_else(|error| panic!("{place}: {error}\n{data}"));
        let latest = set.event(&event_type).unwrap().latest();
        // The canonical form is what an aggregate reads, and it encodes to the same Avro.
        let read: Value = set.from_avro(&event_type, latest, &avro).unwrap();
        let canonical = set.upcast(&event_type, version, &data.into_bytes().into()).unwrap();
        // Both as text: serde_json's own parser rounds some doubles in another way.
        let read: Value = serde_json::from_str(&read.to_string()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&canonical).unwrap(), read, "{place}");
        assert_eq!(set.to_avro(&event_type, latest, &canonical).unwrap(), avro, "{place}");
        *counts.entry(event_type).or_default() += 1;
    }
    counts
}

#[test]
fn events_of_node_services() {
    let expected = [
        ("ProductItemAddedToShoppingCart", 428),
        ("ShoppingCartCancelled", 22),
        ("ShoppingCartConfirmed", 113),
        ("TicketCommented", 175),
        ("TicketOpened", 120),
        ("UserCreditChanged", 116),
        ("UserDeactivated", 32),
        ("UserEmailChanged", 94),
        ("UserPreferencesChanged", 106),
        ("UserRegistered", 220),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(encode_all("node.jsonl.gz"), expected.into());
}

#[test]
fn events_of_dotnet_services() {
    let expected = [
        ("BookingCancelled", 56),
        ("DiscountApplied", 89),
        ("FullyPaid", 160),
        ("OrderCancelled", 88),
        ("OrderPlaced", 52),
        ("OrderShipped", 47),
        ("Overpaid", 322),
        ("PaymentReceived", 54),
        ("PaymentRecorded", 506),
        ("RoomBooked", 176),
        ("StayExtended", 88),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(encode_all("dotnet.jsonl.gz"), expected.into());
}

#[test]
fn values_are_exact() {
    let set = schemas();
    let mut bigs = 0;
    for event in events("dotnet.jsonl.gz") {
        let Some((event_type, version)) = mapped(&event) else { continue };
        let data = event.data.unwrap();
        let canonical = set.upcast(&event_type, version, &data.clone().into_bytes().into()).unwrap();
        let canonical: Value = serde_json::from_slice(&canonical).unwrap();
        match event_type.as_str() {
            "OrderCancelled" if data.contains("18446744073709551615") => {
                assert_eq!(canonical["Big"], "18446744073709551615");
                bigs += 1;
            }
            "PaymentReceived" if data.contains("79228162514264337593543950335") => {
                assert_eq!(canonical["Amount"], "79228162514264337593543950335.00000000");
                bigs += 1;
            }
            "OrderPlaced" if data.contains("9007199254740993") => {
                assert_eq!(canonical["SequenceNo"], "9007199254740993");
                bigs += 1;
            }
            _ => {}
        }
    }
    assert_eq!(bigs, 94);
}
