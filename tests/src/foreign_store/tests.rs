use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aqueduct_core::mapping::{EventMapping, MetadataMapping, TypeMap};
use serde_json::Value;

use super::*;

const EVENTS: usize = 100_000;

/// The mapping that a user of this store configures.
fn mapping() -> EventMapping {
    let metadata: MetadataMapping = serde_json::from_str(
        r#"{
            "schema_version": ["metadata:/eventVersion", "metadata:/revision", "data:/SchemaVersion"],
            "correlation_id": [
                "metadata:/correlationId", "metadata:/CorrelationId", "metadata:/eventuous.correlation-id"
            ]
        }"#,
    )
    .unwrap();
    let types = TypeMap::from_iter([
        ("V{version}.{event}", "{event}"),
        ("{event}.v{version}", "{event}"),
        ("com.acme.shipping.{event}", "{event}"),
        ("Acme.Billing.{event}, Acme.Billing", "{event}"),
    ]);
    EventMapping::new(&metadata, &types).unwrap()
}

#[test]
fn a_seed_makes_the_same_history_again() {
    let line = |seed, n: usize| history(seed).nth(n).unwrap().to_line().unwrap();
    for n in [0, 1, 999] {
        assert_eq!(line(7, n), line(7, n));
        assert_ne!(line(7, n), line(8, n));
    }
}

#[test]
fn revisions_have_no_gaps_and_ids_are_unique() {
    let mut next: HashMap<String, u64> = HashMap::new();
    let mut ids = HashSet::new();
    for event in history(1).take(EVENTS) {
        let expected = next.entry(event.stream.clone()).or_default();
        assert_eq!(event.revision, *expected, "{}", event.reference());
        *expected += 1;
        assert!(ids.insert(event.id));
    }
}

#[test]
fn twelve_events_are_mapped_and_read() {
    let mapping = mapping();
    let mut seen: BTreeMap<String, BTreeSet<Option<u32>>> = BTreeMap::new();
    let (mut without_metadata, mut correlated, mut traced) = (0, 0, 0);
    for event in history(1).take(EVENTS) {
        let mapped = mapping.read(&event.event_type, &event.metadata, &event.data).unwrap();
        seen.entry(mapped.event_type.to_string()).or_default().insert(mapped.version);
        without_metadata += usize::from(mapped.metadata.left_out.metadata.is_some());
        correlated += usize::from(mapped.metadata.correlation_id.is_some());
        traced += usize::from(mapped.metadata.traceparent.is_some());
    }
    let versions = |list: &[Option<u32>]| BTreeSet::from_iter(list.iter().copied());
    let expected = [
        ("CreditNoteIssued", versions(&[Some(1)])),
        ("InvoiceCancelled", versions(&[Some(1)])),
        ("InvoiceIssued", versions(&[Some(1), Some(2)])),
        ("InvoicePaid", versions(&[Some(1)])),
        ("ProductCreated", versions(&[Some(1), Some(2)])),
        ("ProductPriceChanged", versions(&[Some(1)])),
        ("ProductRetired", versions(&[Some(1)])),
        ("Reading", versions(&[None])),
        ("ReviewPosted", versions(&[Some(1), Some(2)])),
        ("ShipmentBooked", versions(&[Some(1), Some(2)])),
        ("ShipmentDelivered", versions(&[Some(1)])),
        ("ShipmentDispatched", versions(&[Some(1)])),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(name, versions)| (name.to_owned(), versions)).collect();
    assert_eq!(seen, expected);
    for count in [without_metadata, correlated, traced] {
        assert!((EVENTS / 20..EVENTS).contains(&count), "{count}");
    }
}

#[test]
fn the_quality_of_an_event_is_what_its_data_shows() {
    let mut conflicting = Vec::new();
    let mut not_objects = 0;
    for event in history(1).take(EVENTS) {
        let parsed: Option<Value> = serde_json::from_slice(&event.data).ok();
        let object = parsed.as_ref().and_then(Value::as_object);
        assert_eq!(object.is_none(), event.quality == Quality::NotAnObject, "{}", event.reference());
        not_objects += usize::from(object.is_none());
        if event.event_type == "V1.InvoicePaid" {
            let is_text = object.unwrap()["payer"].is_string();
            assert_eq!(is_text, event.quality == Quality::Conflicting, "{}", event.reference());
        }
        if event.quality == Quality::Conflicting {
            conflicting.push(event.event_type);
        }
    }
    assert_eq!(conflicting, ["V1.InvoicePaid"; 3]);
    assert!((500..2_000).contains(&not_objects), "{not_objects}");
}

#[test]
fn bytes_are_written_as_base64() {
    let event = history(1).find(|event| std::str::from_utf8(&event.data).is_err()).unwrap();
    let line: Value = serde_json::from_str(&event.to_line().unwrap()).unwrap();
    assert_eq!(STANDARD.decode(line["dataBase64"].as_str().unwrap()).unwrap(), event.data);
    assert_eq!(line.get("data"), None);
}
