//! The golden vectors for consumers in other languages, taken by the runner for a projection in SQL files.

use std::path::Path;
use std::sync::Arc;

use aqueduct_projection::{
    BatchProcessor, Headers, Projection, Record, RequestStep, SqlProjection, registry_decoder,
};
use aqueduct_schema::{RegistryOptions, SchemaSet, TopicSchemas};
use serde_json::Value;

use crate::sql::write;
use crate::support::Database;
use crate::vectors;

const DEFINITION: &str = r#"
name = "vectors"
topics = ["shop.orders"]

[types]
OrderCreated = { version = 2, files = ["taken.sql"] }
OrderConfirmed = { version = 1, files = ["taken.sql"] }
OrderCancelled = { version = 1, files = ["taken.sql"] }
"#;
const TAKEN: &str = "insert into bank.taken select e.stream, e.type, e.data from $events e";

/// The runner knows no record without a revision.
const NOT_OF_THE_RUNNER: &str = "other-producers";

/// Promise: the runner takes from each record what a consumer must take, and parks what it must park.
#[tokio::test]
async fn the_runner_makes_of_the_vectors_what_they_say() {
    let registry = vectors::registry().await;
    for (name, vector) in vectors::all() {
        if name != NOT_OF_THE_RUNNER {
            let database = Database::create().await;
            let batches = projection(&database, &registry).await;
            play(&name, &vector, &database, &batches).await;
        }
    }
}

async fn projection(database: &Database, registry: &str) -> BatchProcessor {
    let table = "create table bank.taken (stream text, type text, data jsonb, number serial)";
    sqlx::raw_sql(table).execute(&database.pool).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "projection.toml", DEFINITION);
    write(directory.path(), "taken.sql", TAKEN);
    let files = SqlProjection::load(directory.path()).unwrap();
    let schemas = SchemaSet::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")).unwrap();
    let schemas = TopicSchemas { files: Some(Arc::new(schemas)), ..TopicSchemas::default() };
    let decoder = registry_decoder(&RegistryOptions::new(registry)).unwrap();
    Projection::sql(database.options(), decoder, files, schemas).batch_processor().await.unwrap()
}

async fn play(name: &str, vector: &Value, database: &Database, batches: &BatchProcessor) {
    let topic = vector["topic"].as_str().unwrap();
    let epoch = batches.claim(topic, 0).await.unwrap().epoch;
    let (mut taken, mut parked) = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    for step in vector["steps"].as_array().unwrap() {
        if let Some(batch) = step["batch"].as_array() {
            let records = batch.iter().map(|expected| record(topic, epoch, expected)).collect();
            let outcome = batches.apply(records).await;
            if batch.iter().any(|record| record["halts"] == true) {
                let halted = aqueduct_core::with_causes(&outcome.unwrap_err());
                assert!(halted.contains("as version 2 of OrderCreated"), "{name}: {halted}");
                assert!(halted.contains("does not resolve to that"), "{name}: {halted}");
                continue;
            }
            outcome.unwrap();
            all.extend(batch);
            for record in batch {
                match record["result"].as_str().unwrap() {
                    "new" | "unjudged" => taken.push(event(record)),
                    "duplicate" => {}
                    _ => parked.push(fault(record)),
                }
            }
        } else {
            while batches.execute_step().await.unwrap() == RequestStep::Executed {}
            for offset in step["held"].as_array().unwrap() {
                parked.retain(|(parked, ..)| offset != parked);
                taken.extend(all.iter().filter(|record| record["offset"] == *offset).map(|it| event(it)));
            }
        }
    }
    // The order of events of different streams is not kept.
    taken.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    assert_eq!(taken_in(database).await, taken, "{name}");
    parked.sort();
    assert_eq!(parked_in(database).await, parked, "{name}");
}

async fn taken_in(database: &Database) -> Vec<(String, String, Value)> {
    let query = "select stream, type, data from bank.taken order by stream collate \"C\", number";
    sqlx::query_as(query).fetch_all(&database.pool).await.unwrap()
}

async fn parked_in(database: &Database) -> Vec<(i64, String, String)> {
    let query = "select \"offset\", verdict, code from aqueduct.parked order by \"offset\"";
    sqlx::query_as(query).fetch_all(&database.pool).await.unwrap()
}

/// What is taken from a record: its stream, type and data.
fn event(record: &Value) -> (String, String, Value) {
    let stream = String::from_utf8(vectors::bytes(&record["key"]).unwrap()).unwrap();
    let event_type = record["type"].as_str().unwrap().trim_start_matches("shop.orders.");
    (stream, event_type.to_owned(), record["data"].clone())
}

/// Offset, verdict and code of a record that is parked.
fn fault(record: &Value) -> (i64, String, String) {
    let result = record["result"].as_str().unwrap();
    // What the consumer does not report, `receive` finds in the headers.
    let code = record["failed"].as_str().unwrap_or(if result == "invalid" { "headers" } else { result });
    (record["offset"].as_i64().unwrap(), result.to_owned(), code.to_owned())
}

fn record(topic: &str, epoch: i64, expected: &Value) -> Record {
    let mut headers = Headers::default();
    for header in expected["headers"].as_array().unwrap() {
        headers.push(header["name"].as_str().unwrap(), vectors::bytes(&header["value"]).as_deref());
    }
    Record {
        topic: topic.into(),
        partition: 0,
        offset: expected["offset"].as_i64().unwrap(),
        epoch,
        key: vectors::bytes(&expected["key"]).map(Into::into),
        payload: vectors::bytes(&expected["value"]).map(Into::into),
        headers,
    }
}
