//! What the mapping makes of 3,234 events that other libraries wrote to a real server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};

use aqueduct_core::mapping::{EventMapping, MetadataCounts, MetadataMapping, TypeMap};
use flate2::read::GzDecoder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    stream: String,
    revision: u64,
    r#type: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    metadata: String,
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    events: u64,
    /// Events by name and version.
    types: BTreeMap<String, u64>,
    times: u64,
    correlation_ids: u64,
    traces: u64,
    left_out: BTreeMap<&'static str, u64>,
}

fn read(file: &str, metadata: &str, types: &[(&str, &str)]) -> Found {
    let metadata: MetadataMapping = serde_json::from_str(metadata).unwrap();
    let mapping = EventMapping::new(&metadata, &types.iter().copied().collect::<TypeMap>()).unwrap();
    let path = format!("{}/../../tests/data/histories/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut found = Found::default();
    let mut counts = MetadataCounts::default();
    for line in BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines() {
        let line: Line = serde_json::from_str(&line.unwrap()).unwrap();
        let mapped = mapping
            .read(&line.r#type, line.metadata.as_bytes(), line.data.as_bytes())
            .unwrap_or_else(|error| panic!("{}@{}: {error}", line.revision, line.stream));
        let version = mapped.version.map(|version| format!("@{version}")).unwrap_or_default();
        *found.types.entry(format!("{}{version}", mapped.event_type)).or_default() += 1;
        found.events += 1;
        found.times += u64::from(mapped.metadata.time.is_some());
        found.correlation_ids += u64::from(mapped.metadata.correlation_id.is_some());
        found.traces += u64::from(mapped.metadata.traceparent.is_some());
        counts.add(mapped.metadata.left_out);
    }
    found.left_out = counts.iter().collect();
    found
}

fn by_name(types: &[(&str, u64)]) -> BTreeMap<String, u64> {
    types.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn the_events_of_node_services_are_read() {
    let metadata = r#"{ "schema_version": ["metadata:/eventVersion"] }"#;
    let found = read("node.jsonl.gz", metadata, &[("{event}.v{version}", "{event}")]);
    let expected = Found {
        events: 1_526,
        types: by_name(&[
            ("Calibrated", 20),
            ("Empty", 20),
            ("Heartbeat", 20),
            ("ProductItemAddedToShoppingCart", 428),
            ("Reading", 20),
            ("ReadingJson", 20),
            ("ShoppingCartCancelled", 22),
            ("ShoppingCartConfirmed", 113),
            ("TicketCommented@1", 175),
            ("TicketOpened@1", 120),
            ("UserCreditChanged@1", 116),
            ("UserDeactivated@1", 32),
            ("UserEmailChanged@1", 94),
            ("UserPreferencesChanged@1", 106),
            ("UserRegistered@1", 120),
            ("UserRegistered@2", 100),
        ]),
        times: 568,
        correlation_ids: 145,
        traces: 295,
        left_out: BTreeMap::from([("metadata_empty", 359), ("metadata_not_json", 20)]),
    };
    assert_eq!(found, expected);
}

#[test]
fn the_events_of_dotnet_services_are_read() {
    let metadata = r#"{
        "schema_version": ["metadata:/SchemaVersion", "data:/SchemaVersion", "data:/schemaVersion"],
        "time": ["metadata:/Timestamp"],
        "correlation_id": [
            "metadata:/eventuous.correlation-id", "metadata:/CorrelationId", "metadata:/correlationId"
        ]
    }"#;
    let types = [
        ("V{version}.{event}", "{event}"),
        ("Acme.Orders.{event}, Acme.Orders", "{event}"),
        ("Acme.Orders.Envelope`1[[Acme.Orders.{event}, *", "{event}Envelope"),
    ];
    let found = read("dotnet.jsonl.gz", metadata, &types);
    let expected = Found {
        events: 1_708,
        types: by_name(&[
            ("BookingCancelled@1", 56),
            ("DiscountApplied@1", 89),
            ("FullyPaid@1", 160),
            ("OrderCancelled", 88),
            ("OrderPlaced", 51),
            ("OrderPlaced@1", 1),
            ("OrderShipped", 47),
            ("Overpaid@1", 322),
            ("PaymentReceived", 53),
            ("PaymentReceived@1", 1),
            ("PaymentRecorded@1", 506),
            ("PriceChangedEnvelope@1", 28),
            ("PriceChangedEnvelope@3", 42),
            ("RoomBooked@1", 116),
            ("RoomBooked@2", 60),
            ("StayExtended@1", 88),
        ]),
        times: 87,
        correlation_ids: 1_197,
        traces: 1_585,
        left_out: BTreeMap::from([
            ("metadata_empty", 24),
            ("metadata_not_an_object", 5),
            ("metadata_null", 6),
        ]),
    };
    assert_eq!(found, expected);
}
