//! Records whose schema cannot be read.

use aqueduct_projection::{BatchProcessor, Projection, SqlProjection, registry_decoder};
use aqueduct_schema::{RegistryOptions, TopicSchemas};
use axum::extract::Path as UrlPath;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::bank::{Accounts, deposited};
use crate::sql::{directory, write};
use crate::support::{Database, TestRecord, event, records};

const NOT_JSON: u32 = 1;
pub(crate) const NO_FIELDS: u32 = 2;
const REFERS: u32 = 3;
const PROTOBUF: u32 = 4;
const JSON_SCHEMA: u32 = 5;

/// Starts a registry that has these schemas, which serves as long as the runtime. Returns its URL.
pub(crate) async fn registry() -> String {
    let schema = |UrlPath(id): UrlPath<u32>| async move {
        let record = json!({ "type": "record", "name": "Deposited", "namespace": "bank", "fields": [] });
        let answer = match id {
            NOT_JSON => json!({ "schema": "{" }),
            NO_FIELDS => json!({ "schema": r#"{"type":"record","name":"bank.Deposited"}"# }),
            REFERS => {
                let reference = json!({ "name": "bank.Money", "subject": "bank.Money", "version": 1 });
                json!({ "schema": record.to_string(), "references": [reference] })
            }
            PROTOBUF => json!({ "schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF" }),
            JSON_SCHEMA => json!({ "schema": "{}", "schemaType": "JSON" }),
            _ => {
                return (StatusCode::NOT_FOUND, Json(json!({ "error_code": 40403, "message": "not found" })));
            }
        };
        (StatusCode::OK, Json(answer))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/schemas/ids/{id}", get(schema));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A deposit in wire format: the schema's id and the bytes of its fields.
pub(crate) fn encoded(stream: &str, id: u32, fields: &[u8]) -> TestRecord {
    let payload = [&[0], &id.to_be_bytes()[..], fields].concat();
    TestRecord { payload, ..event(stream, 0, &deposited(0)) }
}

/// A view in Rust, and a projection in SQL files that names no version.
async fn projections(database: &Database, directory: &tempfile::TempDir) -> [BatchProcessor; 2] {
    let decoder = registry_decoder(&RegistryOptions::new(&registry().await)).unwrap();
    let view = Projection::view::<Accounts<0>>(database.options(), decoder.clone());
    let definition = "name = \"files\"\ntopics = [\"bank.0\"]\n[types]\nDeposited = [\"deposited.sql\"]";
    write(directory.path(), "projection.toml", definition);
    write(directory.path(), "deposited.sql", "insert into bank.seen select e.data from $events e");
    let files = SqlProjection::load(directory.path()).unwrap();
    let files = Projection::sql(database.options(), decoder, files, TopicSchemas::default());
    [view.batch_processor().await.unwrap(), files.batch_processor().await.unwrap()]
}

async fn seen(database: &Database) {
    sqlx::raw_sql("create table bank.seen (data jsonb)").execute(&database.pool).await.unwrap();
}

/// Promise: a record is not parked for the fault of its schema, because all others with it would be parked too.
#[tokio::test]
async fn an_avro_schema_that_cannot_be_read_halts_the_projection() {
    let database = Database::create().await;
    seen(&database).await;
    let directory = directory();
    let projections = projections(&database, &directory).await;
    for (batches, reader) in
        projections.iter().zip(["event type Deposited of projection accounts", "projection.toml"])
    {
        let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
        for id in [NOT_JSON, NO_FIELDS, REFERS] {
            let halted =
                batches.apply(records(epoch, 7, &[encoded("account-1", id, &[14])])).await.unwrap_err();
            let halted = aqueduct_core::with_causes(&halted);
            for part in ["record bank.0/0@7", reader, &format!("schema id {id}")] {
                assert!(halted.contains(part), "{halted}\ndoes not contain\n{part}");
            }
        }
    }
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    assert_eq!(
        database.number("select count(*) from aqueduct.offsets where next_offset is not null").await,
        0
    );
}

/// Promise: what somebody else wrote into the topic stops nobody.
#[tokio::test]
async fn a_schema_that_is_not_avro_parks_its_records() {
    let database = Database::create().await;
    seen(&database).await;
    let directory = directory();
    for batches in &projections(&database, &directory).await {
        let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
        let events = [encoded("account-1", PROTOBUF, &[14]), encoded("account-2", JSON_SCHEMA, b"{}")];
        assert_eq!(batches.apply(records(epoch, 0, &events)).await.unwrap().unwrap().parked, 2);
    }
    let parked = "select distinct verdict || ' ' || code || ': ' || (reason like '%it is not an Avro schema%') from aqueduct.parked";
    assert_eq!(database.texts(parked).await, ["invalid payload: true"]);
}
