//! Drafts of what four libraries wrote (`tests/data/histories`): the types that must come out, and that all events
//! fit them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use aqueduct_core::mapping::{EventMapping, MetadataMapping, TypeMap, TypeNames};
use base64::Engine as _;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::*;

struct Stored {
    event_type: String,
    reference: String,
    data: Vec<u8>,
    metadata: Vec<u8>,
}

fn history(name: &str) -> Vec<Stored> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/histories");
    let file = File::open(folder.join(format!("{name}.jsonl.gz"))).unwrap();
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| stored(&serde_json::from_str(&line.unwrap()).unwrap())).collect()
}

fn stored(line: &Value) -> Stored {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let bytes = |key: &str| match line[format!("{key}Base64")].as_str() {
        Some(base64) => base64::engine::general_purpose::STANDARD.decode(base64).unwrap(),
        None => text(key).into_bytes(),
    };
    Stored {
        event_type: text("type"),
        reference: format!("{}@{}", line["revision"], text("stream")),
        data: bytes("data"),
        metadata: bytes("metadata"),
    }
}

/// The mapping that `infer` suggests, with the pointer to the version that the Node articles use.
fn mapping(events: &[Stored]) -> EventMapping {
    let types: BTreeSet<&str> = events.iter().map(|event| &*event.event_type).collect();
    let lines = missing_map_lines(types, &TypeNames::default());
    let types: TypeMap = lines.into_iter().map(|line| (line.stored, line.event)).collect();
    let metadata: MetadataMapping =
        serde_json::from_value(json!({"schema_version": ["metadata:/eventVersion"]})).unwrap();
    EventMapping::new(&metadata, &types).unwrap()
}

fn observe_all(name: &str) -> Evidence {
    let events = history(name);
    let mapping = mapping(&events);
    let mut evidence = Evidence::new();
    for event in &events {
        let mapped = mapping.read(&event.event_type, &event.metadata, &event.data).unwrap();
        evidence.observe(&mapped.event_type, mapped.version, &event.reference, &event.data);
    }
    evidence
}

fn draft(name: &str) -> Report {
    infer(&observe_all(name), "all", "acme.all", &SchemaFiles::default())
}

/// The type of a field by its path, `price.amount`, in the latest version: null and the arrays and maps on the way
/// left out.
fn type_at(report: &Report, event_type: &str, path: &str) -> Value {
    let prefix = format!("all/{event_type}/");
    let file = report.files.iter().rfind(|file| file.path.starts_with(&prefix)).unwrap();
    let mut schema: Value = serde_json::from_str(&file.text).unwrap();
    for name in path.split('.') {
        schema = super::field_of(&schema, name)["type"].clone();
        if let Some([null, of]) = schema.as_array().map(Vec::as_slice) {
            schema = if null == "null" { of.clone() } else { schema };
        }
        for inner in ["items", "values"] {
            schema = schema.get(inner).cloned().unwrap_or(schema);
        }
    }
    schema
}

fn decimal(precision: u32, scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn logical(of: &str, name: &str) -> Value {
    json!({"type": of, "logicalType": name})
}

#[test]
fn bookings_have_decimals_uuids_dates_and_maps() {
    let report = draft("dotnet");
    for (event_type, path, scale) in [
        ("RoomBooked", "price.amount", 4),
        ("RoomBooked", "prepaidAmount", 4),
        ("RoomBooked", "outstandingAmount", 4),
        ("PaymentRecorded", "paidAmount", 4),
        ("PaymentRecorded", "outstanding", 4),
        ("Overpaid", "excess.amount", 4),
        ("BookingCancelled", "refund.amount", 4),
        ("StayExtended", "extraPrice.amount", 2),
        ("DiscountApplied", "amount", 2),
        ("DiscountApplied", "breakdown", 3),
    ] {
        assert_eq!(type_at(&report, event_type, path), decimal(18, scale), "{event_type} {path}");
    }
    assert_eq!(type_at(&report, "RoomBooked", "guestId"), logical("string", "uuid"));
    assert_eq!(type_at(&report, "RoomBooked", "checkInDate"), logical("int", "date"));
    assert_eq!(type_at(&report, "RoomBooked", "bookingDate"), logical("long", "timestamp-nanos"));
    assert_eq!(type_at(&report, "StayExtended", "checkOutAt"), "string");
    assert_eq!(type_at(&report, "DiscountApplied", "percentage"), "double");
    assert_eq!(type_at(&report, "DiscountApplied", "appliedAt"), "string");
}

#[test]
fn orders_of_three_serializers_are_one_type() {
    let report = draft("dotnet");
    assert_eq!(type_at(&report, "OrderCancelled", "Big"), decimal(20, 0));
    assert_eq!(type_at(&report, "OrderShipped", "carrier"), json!(["long", "string"]));
    assert_eq!(type_at(&report, "PaymentReceived", "Amount"), decimal(38, 7));
    assert_eq!(type_at(&report, "OrderPlaced", "Lines.attributes"), "string");
    let signature = type_at(&report, "PaymentReceived", "Signature");
    assert_eq!(signature[0], "string");
    assert_eq!(signature[1]["name"], "PaymentReceivedSignature");
}

#[test]
fn node_events_have_timestamps_from_text_and_from_numbers() {
    let report = draft("node");
    assert_eq!(type_at(&report, "TicketOpened", "openedAt"), logical("long", "timestamp-millis"));
    assert_eq!(
        type_at(&report, "ProductItemAddedToShoppingCart", "addedAt"),
        logical("long", "timestamp-millis")
    );
    assert_eq!(type_at(&report, "TicketOpened", "customer"), "long");
    assert_eq!(type_at(&report, "ShoppingCartConfirmed", "total"), "double");
    assert_eq!(type_at(&report, "UserCreditChanged", "amount"), decimal(18, 2));
    let versions: Vec<_> = report.files.iter().filter(|file| file.path.contains("UserRegistered")).collect();
    assert_eq!(versions.len(), 2);
}

/// A field is required exactly if every event has a value.
#[test]
fn what_is_always_present_is_required() {
    for (name, at_least) in [("dotnet", 60), ("node", 20)] {
        let required = required_fields(name);
        assert!(required > at_least, "{name}: {required} fields are required");
    }
}

/// Compares each field with the events, and counts those that are required.
fn required_fields(name: &str) -> usize {
    let events = history(name);
    let mapping = mapping(&events);
    let report = draft(name);
    let mut present: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut totals: BTreeMap<String, usize> = BTreeMap::new();
    for event in &events {
        let mapped = mapping.read(&event.event_type, &event.metadata, &event.data).unwrap();
        let Ok(data) = serde_json::from_slice::<Value>(&event.data) else { continue };
        let Some(members) = data.as_object() else { continue };
        *totals.entry(mapped.event_type.to_string()).or_default() += 1;
        for (key, _) in members.iter().filter(|(_, value)| !value.is_null()) {
            *present.entry((mapped.event_type.to_string(), key.to_lowercase())).or_default() += 1;
        }
    }
    let mut required = 0;
    for file in &report.files {
        let event_type = file.path.split('/').nth(1).unwrap().to_owned();
        // Version 1 of a type with two is required by its own events only.
        let latest =
            report.files.iter().rfind(|other| other.path.contains(&format!("/{event_type}/"))).unwrap();
        if latest.path != file.path {
            continue;
        }
        let schema: Value = serde_json::from_str(&file.text).unwrap();
        for field in schema["fields"].as_array().unwrap() {
            let stored = match &field["json"] {
                Value::Array(names) => names[0].as_str(),
                Value::String(name) => Some(&**name),
                _ => field["name"].as_str(),
            };
            let count =
                present.get(&(event_type.clone(), stored.unwrap().to_lowercase())).copied().unwrap_or(0);
            let optional = field["type"].as_array().is_some_and(|kinds| kinds[0] == "null");
            assert_eq!(optional, count < totals[&event_type], "{event_type} {field}");
            required += usize::from(!optional);
        }
    }
    required
}

/// What is no JSON object parks, and nothing else: the drafts take every value that the libraries wrote.
#[test]
fn every_event_that_is_an_object_fits_its_draft() {
    for (name, no_objects) in [("node", 80), ("dotnet", 0)] {
        let events = history(name);
        let mapping = mapping(&events);
        let schemas = super::loaded(&draft(name));
        let mut check = Check::new(&schemas);
        let mut refused = 0;
        for event in &events {
            let mapped = mapping.read(&event.event_type, &event.metadata, &event.data).unwrap();
            let fits = check.event(&mapped.event_type, mapped.version, &event.reference, &event.data);
            let is_object = serde_json::from_slice::<Value>(&event.data).is_ok_and(|data| data.is_object());
            assert!(fits || !is_object, "{}: {}", event.reference, check.report());
            refused += usize::from(!fits);
        }
        let reasons = check.report().refused;
        assert!(reasons.iter().all(|refused| !refused.reason.contains("schema")), "{}", check.report());
        assert_eq!(refused, no_objects, "{name}");
    }
}
