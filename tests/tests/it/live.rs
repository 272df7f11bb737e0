//! Guarantees 1, 3 and 6 as `verify` sees them while events are appended, relayed, parked and discarded: a check of a
//! running system has no false findings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventstore::{AppendToStreamOptions, Client, EventData};
use serde_json::{Value, json};

use crate::own_store::OwnStore;
use crate::support::say;

const CHECKS: usize = 4;
/// One of so many appends begins with an event that fits no schema.
const BAD_EVERY: u64 = 7;
const STREAMS: u64 = 60;
const PER_APPEND: u64 = 20;
/// One append each: the checks would not end if the store grew faster than they read.
const PACE: Duration = Duration::from_millis(100);

/// Appends until it is told to stop. Each stream gets good events; some get a bad one in their midst.
async fn append(url: String, stop: Arc<AtomicBool>, appended: Arc<AtomicU64>) {
    let client = Client::new(url.parse().unwrap()).unwrap();
    let mut pace = tokio::time::interval(PACE);
    for round in 0.. {
        pace.tick().await;
        let event = |n: u64| {
            let is_bad = n == 0 && round % BAD_EVERY == 0;
            let data =
                if is_bad { json!({"words": round}) } else { json!({"exampleId": "a", "quantity": n}) };
            EventData::json("ExamplePlaced", &data).unwrap()
        };
        let events: Vec<EventData> = (0..PER_APPEND).map(event).collect();
        let stream = format!("example-{}", round % STREAMS);
        client.append_to_stream(stream, &AppendToStreamOptions::default(), events).await.unwrap();
        appended.fetch_add(PER_APPEND, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// A report, whose faults are none.
#[track_caller]
fn checked(own: &OwnStore) -> Value {
    let output = own.run(&["verify", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_system_is_verified_without_false_findings() {
    let own = OwnStore::start().await;
    own.succeed(&["setup"]);
    let mut relay = own.relay();
    let (stop, appended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = tokio::spawn(append(own.event_store_url().to_owned(), stop.clone(), appended.clone()));
    let discard = ["parked", "discard", "--route", "example", "--code", "payload", "--yes"];
    let own = Arc::new(own);
    let mut stored = Vec::new();
    for _ in 0..CHECKS {
        let operator = tokio::task::spawn_blocking({
            let own = own.clone();
            move || own.run(&discard)
        });
        let report = tokio::task::spawn_blocking({
            let own = own.clone();
            move || checked(&own)
        });
        let report = report.await.unwrap();
        say(&format!("live: {}", report["stored"]));
        stored.push(report["stored"].as_u64().unwrap());
        let output = operator.await.unwrap();
        // 1: a later bad event of the same stream parks it again.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    }
    assert!(stored.is_sorted() && stored[0] < stored[CHECKS - 1], "{stored:?}");
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let report = own.verified(&mut relay).await;
    assert_eq!(report["stored"].as_u64().unwrap(), appended.load(Ordering::Relaxed));
    assert!(report["discarded"].as_u64().unwrap() > 0, "{report}");
    relay.stop().await;
}
