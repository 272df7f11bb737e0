//! Payloads as the relay writes them: Avro with the id of a schema in a registry.

use std::time::Duration;

use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_projection::{BatchProcessor, Outcome, Projection, registry_decoder};
use aqueduct_schema::RegistryOptions;
use serde_json::{Value, json};

use crate::bank::{Accounts, deposited};
use crate::support::{Database, TestRecord, event, records};

async fn register(registry: &str, event_type: &str) -> u32 {
    let url = format!("{registry}/subjects/bank.0-bank.{event_type}/versions");
    let schema = json!({
        "type": "record", "name": event_type, "namespace": "bank", "fields": [{ "name": "amount", "type": "int" }],
    })
    .to_string();
    let body = json!({ "schema": schema }).to_string();
    let answer = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .body(body)
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
}

/// A deposit of `amount` (below 64: one byte in Avro) in wire format.
fn encoded(stream: &str, revision: i64, schema_id: u32, amount: u8) -> TestRecord {
    let mut payload = vec![0];
    payload.extend_from_slice(&schema_id.to_be_bytes());
    payload.push(amount * 2);
    TestRecord { payload, ..event(stream, revision, &deposited(0)) }
}

async fn start(database: &Database, registry: &str) -> (BatchProcessor, i64) {
    let decoder =
        registry_decoder(&RegistryOptions { timeout_seconds: 2, ..RegistryOptions::new(registry) }).unwrap();
    let batches =
        Projection::view::<Accounts<0>>(database.options(), decoder).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    (batches, epoch)
}

const BALANCES: &str = "select id || ' ' || balance from bank.accounts order by 1";

/// Guarantee 7: wrong schema ids and invalid bytes.
#[tokio::test]
async fn undecodable_payloads_are_parked() {
    let stack =
        DevStack::start(StackOptions { registry: Part::start(), ..StackOptions::none() }).await.unwrap();
    let registry = stack.registry_url().unwrap();
    let id = register(registry, "Deposited").await;
    let other = register(registry, "Withdrawn").await;
    let database = Database::create().await;
    let (batches, epoch) = start(&database, registry).await;
    let events = [
        encoded("account-1", 0, id, 7),
        encoded("account-2", 0, id + 1000, 7),
        encoded("account-3", 0, other, 7),
        TestRecord { payload: vec![0, 0], ..encoded("account-4", 0, id, 7) },
        TestRecord {
            payload: [&[0], &id.to_be_bytes()[..], &[14, 14]].concat(),
            ..encoded("account-5", 0, id, 7)
        },
        encoded("account-2", 1, id, 7),
    ];
    let outcome = batches.apply(records(epoch, 0, &events)).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome { applied: 1, parked: 5, ..Outcome::default() });
    assert_eq!(database.texts(BALANCES).await, ["1 7"]);
    let reasons =
        database.texts("select reason from aqueduct.parked where verdict = 'invalid' order by stream").await;
    for (reason, expected) in reasons.iter().zip([
        "not in the registry",
        "its schema id belongs to bank.Withdrawn, its header ce_type is bank.Deposited",
        "not in wire format",
        "1 bytes are left after the value",
    ]) {
        assert!(reason.contains(expected), "{reason}\ndoes not contain\n{expected}");
    }
    assert_eq!(reasons.len(), 4);
    stack.shutdown().await;
}

/// Guarantees 1 and 6: an unreachable registry parks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_registry_is_retried() {
    let stack =
        DevStack::start(StackOptions { registry: Part::start(), ..StackOptions::none() }).await.unwrap();
    let registry = stack.registry_url().unwrap();
    let id = register(registry, "Deposited").await;
    let database = Database::create().await;
    let (batches, epoch) = start(&database, registry).await;
    stack.registry().unwrap().stop().await;
    let batch = records(epoch, 0, &[encoded("account-1", 0, id, 7)]);
    let mut applying = tokio::spawn(async move { batches.apply(batch).await });
    // It retries.
    let ended = tokio::time::timeout(Duration::from_secs(2), &mut applying).await;
    assert!(ended.is_err(), "{ended:?}");
    stack.registry().unwrap().start().await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(30), applying).await.unwrap().unwrap().unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, ..Outcome::default() }));
    stack.shutdown().await;
}
