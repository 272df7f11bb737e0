//! Guarantees 1, 3 and 6 for a stranger's store: 100,000 events of a Node, a .NET and a Java service and of some sensors,
//! appended with the vendor's client for Node, from `aqueduct init` to a green `aqueduct verify`.

use std::collections::HashSet;
use std::time::Instant;

use aqueduct_tests::foreign_store::{Quality, history};
use serde_json::{Value, json};

use crate::node_client::NodeClient;
use crate::own_store::{OwnStore, printed_section, type_at};
use crate::support::say;

const SEED: u64 = 10;
const EVENTS: usize = 100_000;

const ROUTES: &str = r#"
[[relay.routes]]
name = "catalogue"
topic = "acme.catalogue"
categories = ["product", "review"]

[[relay.routes]]
name = "billing"
topic = "acme.billing"
categories = ["Invoice"]

[[relay.routes]]
name = "logistics"
topic = "acme.logistics"
categories = ["shipment", "sensor"]
"#;
const METADATA: &str = r#"
schema_version = ["metadata:/eventVersion", "metadata:/revision", "data:/SchemaVersion"]
correlation_id = ["metadata:/correlationId", "metadata:/CorrelationId", "metadata:/eventuous.correlation-id"]
"#;

/// How many events cannot be records, and how many more come after one of them in their stream.
fn bad_events() -> (u64, u64) {
    let (mut bad, mut followers, mut blocked) = (0, 0, HashSet::new());
    for event in history(SEED).take(EVENTS) {
        if event.quality != Quality::Good {
            bad += 1;
            blocked.insert(event.stream);
        } else if blocked.contains(&event.stream) {
            followers += 1;
        }
    }
    (bad, followers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_store_reaches_kafka() {
    let client = NodeClient::install();
    let own = OwnStore::start().await;
    let begun = Instant::now();
    let stage = |name: &str| say(&format!("stranger: {name} after {:.1} s", begun.elapsed().as_secs_f64()));
    client.append(own.event_store_url(), history(SEED).take(EVENTS).map(|event| event.to_line().unwrap()));
    stage("appended");

    own.configure_routes(ROUTES);
    own.add_to("[events.metadata]", METADATA);
    let inferred = own.succeed(&["schemas", "infer", "acme"]);
    stage("inferred");
    own.add_to("[events.types]", printed_section(&inferred, "[events.types]"));
    let (bad, followers) = bad_events();
    let report: Value = serde_json::from_str(&own.succeed(&["schemas", "infer", "acme", "--json"])).unwrap();
    stage("inferred again");
    let check = &report["check"];
    let refused: u64 =
        check["refused"].as_array().unwrap().iter().map(|it| it["events"].as_u64().unwrap()).sum();
    assert_eq!((refused, check["followers"].as_u64().unwrap()), (bad, followers), "{check}");
    let decimal =
        |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": scale});
    for (event_type, path, expected) in [
        ("ProductPriceChanged", "price", decimal(2)),
        ("ProductCreated", "productId", json!({"type": "string", "logicalType": "uuid"})),
        ("ReviewPosted", "postedAt", json!({"type": "long", "logicalType": "timestamp-millis"})),
        ("CreditNoteIssued", "Amount", decimal(3)),
        ("InvoiceIssued", "total.amount", decimal(2)),
        ("InvoiceIssued", "dueDate", json!({"type": "int", "logicalType": "date"})),
        ("ShipmentDispatched", "carrier", json!(["long", "string"])),
        ("ShipmentBooked", "attributes.customsCode", json!("string")),
    ] {
        assert_eq!(type_at(&own.latest_schema("acme", event_type), path), expected, "{event_type} {path}");
    }

    own.succeed(&["setup"]);
    let mut relay = own.relay();
    let verified = own.verified(&mut relay).await;
    stage("verified");
    relay.stop().await;
    let count = |key: &str| verified[key].as_u64().unwrap();
    let counts =
        (count("stored"), count("relayed"), count("parked"), count("skipped"), count("not_compared"));
    let parked = bad + followers;
    assert_eq!(counts, (EVENTS as u64, EVENTS as u64 - parked, parked, 0, 0), "{verified}");
}
