//! Guarantees 1, 3 and 6 for events that others wrote: histories that four libraries wrote to a real server, from
//! `aqueduct init` to a green `aqueduct verify`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use base64::Engine as _;
use eventstore::{AppendToStreamOptions, Client, EventData};
use flate2::read::GzDecoder;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::own_store::{OwnStore, printed_section, type_at};
use crate::planted;
use crate::support::ROOT;

/// The events of a file, in the order of `$all`.
fn history(name: &str) -> Vec<Value> {
    let file = Path::new(ROOT).join(format!("tests/data/histories/{name}.jsonl.gz"));
    let lines = BufReader::new(GzDecoder::new(File::open(file).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn bytes(event: &Value, key: &str) -> Vec<u8> {
    match event[format!("{key}Base64")].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        None => event[key].as_str().unwrap_or_default().to_owned().into_bytes(),
    }
}

/// The event as it was stored, byte for byte.
fn event_data(event: &Value) -> EventData {
    let (event_type, data) = (event["type"].as_str().unwrap(), bytes(event, "data"));
    let appended = if event["contentType"] == "application/json" {
        let json: &RawValue = serde_json::from_slice(&data).unwrap();
        assert_eq!(json.get().as_bytes(), data, "blanks around the value are not kept");
        EventData::json(event_type, &json).unwrap()
    } else {
        EventData::binary(event_type, data.into())
    };
    appended.id(event["id"].as_str().unwrap().parse().unwrap()).metadata(bytes(event, "metadata").into())
}

/// Appends all events, neighbours of one stream in one append.
async fn append(url: &str, events: &[Value]) {
    let client = Client::new(url.parse().unwrap()).unwrap();
    for neighbours in events.chunk_by(|one, other| one["stream"] == other["stream"]) {
        let batch: Vec<EventData> = neighbours.iter().map(event_data).collect();
        let stream = neighbours[0]["stream"].as_str().unwrap();
        client.append_to_stream(stream, &AppendToStreamOptions::default(), batch).await.unwrap();
    }
}

/// What a user does who has such a store: `init`, routes, `infer`, paste what it prints, `setup`, `relay`, `verify`.
async fn brought_to_kafka(name: &str, routes: &str, metadata: &str) -> (OwnStore, Vec<Value>, Value, Value) {
    let events = history(name);
    let own = OwnStore::start().await;
    append(own.event_store_url(), &events).await;
    own.configure_routes(routes);
    own.add_to("[events.metadata]", metadata);

    let inferred = own.succeed(&["schemas", "infer", "all", "--namespace", "acme.all"]);
    own.add_to("[events.types]", printed_section(&inferred, "[events.types]"));
    // A second run has nothing to add.
    let again = own.succeed(&["schemas", "infer", "all", "--namespace", "acme.all"]);
    assert!(!again.contains("wrote ") && !again.contains("[events.types]"), "{again}");
    let inferred: Value = serde_json::from_str(&own.succeed(&["schemas", "infer", "all", "--json"])).unwrap();

    assert_history(&own, &inferred);
    own.succeed(&["setup"]);
    let mut relay = own.relay();
    let verified = own.verified(&mut relay).await;
    relay.stop().await;
    (own, events, inferred, verified)
}

/// The drafts are safe to merge, and read as many events as `infer` says; an interrupted reading is resumed.
#[track_caller]
fn assert_history(own: &OwnStore, inferred: &Value) {
    own.succeed(&["schemas", "check"]);
    let read = |arguments: &[&str]| {
        let output = own.run(&[&["schemas", "history", "--json"], arguments].concat());
        let tally: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code(), tally)
    };
    let check = &inferred["check"];
    let count = |counts: &Value| counts.as_u64().unwrap();
    let refused: u64 = check["refused"].as_array().unwrap().iter().map(|it| count(&it["events"])).sum();
    let (code, tally) = read(&["--resume", "history.json"]);
    let of_types = tally["events"].as_object().unwrap().values();
    let good: u64 = of_types.flat_map(|versions| versions.as_object().unwrap().values().map(count)).sum();
    let of_types = tally["failures"].as_object().unwrap().values();
    let bad: u64 = of_types
        .flat_map(|reasons| reasons.as_object().unwrap().values().map(|failures| count(&failures["events"])))
        .sum();
    assert_eq!(
        (good, bad),
        (count(&check["events"]) - refused, refused + count(&check["unread"])),
        "{tally}"
    );
    assert_eq!(code, Some(if bad == 0 { 0 } else { 1 }));
    // From the end on there is nothing more.
    assert_eq!(read(&["--resume", "history.json"]), (code, tally.clone()));
    // The schemas of today as a candidate: nothing becomes unreadable.
    let (code, judged) = read(&["--candidate", "schemas"]);
    assert_eq!((code, &judged["events"], &judged["changed"]), (Some(0), &tally["events"], &json!({})));
    // Other events are not taken up from the file.
    let output = own.run(&["schemas", "history", "--resume", "history.json", "--category", "user"]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("of other schemas or another selection"),
        "{output:?}"
    );
}

fn decimal(precision: u32, scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn logical(of: &str, name: &str) -> Value {
    json!({"type": of, "logicalType": name})
}

#[track_caller]
fn assert_types(own: &OwnStore, expected: &[(&str, &str, Value)]) {
    for (event_type, path, expected) in expected {
        let actual = type_at(&own.latest_schema("all", event_type), path);
        assert_eq!(actual, *expected, "{event_type} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_node_services_reach_kafka() {
    let routes = r#"
[[relay.routes]]
name = "users"
topic = "acme.users"
categories = ["user"]

[[relay.routes]]
name = "sales"
topic = "acme.sales"
categories = ["shopping_cart", "ticket"]

[[relay.routes]]
name = "devices"
topic = "acme.devices"
stream_prefixes = ["device-"]
"#;
    let metadata = "schema_version = [\"metadata:/eventVersion\"]\n";
    let (own, events, inferred, verified) = brought_to_kafka("node", routes, metadata).await;

    assert_types(
        &own,
        &[
            ("TicketOpened", "openedAt", logical("long", "timestamp-millis")),
            ("ProductItemAddedToShoppingCart", "addedAt", logical("long", "timestamp-millis")),
            ("TicketOpened", "customer", json!("long")),
            ("ShoppingCartConfirmed", "total", json!("double")),
            ("UserCreditChanged", "amount", decimal(18, 2)),
        ],
    );
    // Only what is no JSON object parks, and what comes after it: all of the devices' events.
    let devices =
        events.iter().filter(|event| event["stream"].as_str().unwrap().starts_with("device-")).count();
    let check = &inferred["check"];
    let refused: u64 =
        check["refused"].as_array().unwrap().iter().map(|it| it["events"].as_u64().unwrap()).sum();
    assert_eq!((devices, refused, check["followers"].as_u64()), (100, 80, Some(20)), "{check}");
    assert_accounted(&verified, events.len(), devices);
    let parked = own.parked();
    assert!(
        parked.iter().all(|event| event["route"] == "devices" && event["state"] == "parked"),
        "{parked:?}"
    );
    let with_code = |code: &str| parked.iter().filter(|event| event["code"] == code).count();
    assert_eq!((with_code("not_json"), with_code("blocked")), (20, 80), "{parked:?}");
    planted::every_fault_is_found(&own, "sales", "acme.sales").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_dotnet_services_reach_kafka() {
    let routes = r#"
[[relay.routes]]
name = "bookings"
topic = "acme.bookings"
categories = ["Booking"]

[[relay.routes]]
name = "orders"
topic = "acme.orders"
categories = ["net"]
"#;
    let (own, events, inferred, verified) = brought_to_kafka("dotnet", routes, "").await;

    assert_types(
        &own,
        &[
            ("RoomBooked", "price.amount", decimal(18, 4)),
            ("RoomBooked", "prepaidAmount", decimal(18, 4)),
            ("RoomBooked", "outstandingAmount", decimal(18, 4)),
            ("PaymentRecorded", "paidAmount", decimal(18, 4)),
            ("Overpaid", "excess.amount", decimal(18, 4)),
            ("BookingCancelled", "refund.amount", decimal(18, 4)),
            ("RoomBooked", "guestId", logical("string", "uuid")),
            ("RoomBooked", "checkInDate", logical("int", "date")),
            ("OrderCancelled", "Big", decimal(20, 0)),
            ("OrderShipped", "carrier", json!(["long", "string"])),
            ("OrderPlaced", "Lines.attributes", json!("string")),
        ],
    );
    assert_eq!(inferred["check"]["refused"], json!([]));
    assert_accounted(&verified, events.len(), 0);
    planted::every_fault_is_found(&own, "orders", "acme.orders").await;
}

/// Every event is in its topic or parked, and every payload was compared.
#[track_caller]
fn assert_accounted(verified: &Value, events: usize, parked: usize) {
    let count = |key: &str| verified[key].as_u64().unwrap();
    let expected = (events as u64, (events - parked) as u64, parked as u64, 0, 0);
    let counts =
        (count("stored"), count("relayed"), count("parked"), count("skipped"), count("not_compared"));
    assert_eq!(counts, expected, "{verified}");
}
