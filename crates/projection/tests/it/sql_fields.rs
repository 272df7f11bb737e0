//! Statements that are sent only the fields of `data` that they read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aqueduct_projection::{BatchProcessor, Outcome, Projection, SqlProjection, registry_decoder};
use aqueduct_schema::{RegistryOptions, SchemaSet, TopicSchemas};
use axum::extract::Path as UrlPath;
use axum::routing::get;
use axum::{Json, Router};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::schemas::encoded;
use crate::sql::{apply, write};
use crate::support::{Database, TestRecord};

/// Ids in the registry: the version that the files are written for, and one with a field more.
const NAMED: u32 = 1;
const NEWER: u32 = 2;

/// Entries of `projection.toml`.
const NO_VERSION: &str = "[\"deposited.sql\"]";
const VERSION: &str = "{ version = 1, files = [\"deposited.sql\"] }";

fn schema(id: u32) -> Value {
    let array = |items: Value| json!({ "type": "array", "items": items });
    let field = |name: &str, of: Value| json!({ "name": name, "type": of });
    let line = json!({ "type": "record", "name": "Line", "fields": [
        field("sku", json!("string")), field("quantity", json!("int"))] });
    let branch = json!({ "type": "record", "name": "Branch", "fields": [
        field("name", json!("string")), field("tags", array(json!("string")))] });
    let mut fields = vec![
        field("id", json!("string")),
        field("amount", json!("long")),
        field("lines", json!(["null", array(line)])),
        field("branch", branch),
        field("labels", json!({ "type": "map", "values": "string" })),
        field("data", json!(["null", "string", "boolean"])),
    ];
    if id == NEWER {
        fields.push(field("more", json!("string")));
    }
    json!({ "type": "record", "name": "Deposited", "namespace": "bank", "fields": fields })
}

fn events() -> Vec<Value> {
    let branch = |name: &str, tags: &[&str]| json!({ "name": name, "tags": tags });
    let line = |sku: &str, quantity: i32| json!({ "sku": sku, "quantity": quantity });
    vec![
        json!({ "id": "a", "amount": 1, "lines": [line("x", 1), line("y", 2)], "branch": branch("id", &["t"]),
                "labels": { "id": "l", "name": "m" }, "data": "d" }),
        json!({ "id": "lines", "amount": "9007199254740993", "lines": null, "branch": branch("", &[]),
                "labels": {}, "data": null }),
        json!({ "id": "{\"id\": 1}", "amount": -7, "lines": [], "branch": branch("b", &["", "u"]),
                "labels": { "0": "n" }, "data": true }),
        json!({ "id": "", "amount": 0, "lines": [line("", 0)], "branch": branch("ü\"\\", &["id"]),
                "labels": { "lines": "" }, "data": "[1, 2]" }),
    ]
}

/// The events as records of both schemas.
fn written(schemas: &SchemaSet) -> Vec<TestRecord> {
    let mut records = Vec::new();
    for (event, number) in events().into_iter().zip(0..) {
        let avro = schemas.to_avro("Deposited", 1, event.to_string().as_bytes()).unwrap();
        records.push(encoded(&format!("account-{number}"), NAMED, &avro));
        records.push(encoded(&format!("account-{number}-newer"), NEWER, &[&avro[..], &[2, b'z']].concat()));
    }
    records
}

async fn registry() -> String {
    let answer = |UrlPath(id): UrlPath<u32>| async move { Json(json!({ "schema": schema(id).to_string() })) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/schemas/ids/{id}", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

struct Setup {
    database: Database,
    schemas: Arc<SchemaSet>,
    directory: tempfile::TempDir,
    registry: String,
}

impl Setup {
    async fn start() -> Self {
        let database = Database::create().await;
        let table = "create table bank.seen (by text, one text, other text)";
        sqlx::raw_sql(table).execute(&database.pool).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let deposited = directory.path().join("schemas/bank/Deposited");
        std::fs::create_dir_all(&deposited).unwrap();
        write(&deposited, "v1.avsc", &schema(NAMED).to_string());
        let schemas = Arc::new(SchemaSet::load(directory.path().join("schemas")).unwrap());
        Self { database, schemas, directory, registry: registry().await }
    }

    /// A projection that is a statement. An error if Postgres refuses it.
    async fn projection(&self, name: &str, files: &str, statement: &str) -> Result<BatchProcessor, String> {
        let definition = format!("name = \"{name}\"\ntopics = [\"bank.0\"]\n[types]\nDeposited = {files}");
        write(self.directory.path(), "projection.toml", &definition);
        write(self.directory.path(), "deposited.sql", statement);
        let files = SqlProjection::load(self.directory.path()).unwrap();
        let decoder = registry_decoder(&RegistryOptions::new(&self.registry)).unwrap();
        let schemas = TopicSchemas { files: Some(Arc::clone(&self.schemas)), ..TopicSchemas::default() };
        let projection = Projection::sql(self.database.options(), decoder, files, schemas);
        projection.batch_processor().await.map_err(|error| aqueduct_core::with_causes(&error))
    }

    /// What a projection has made of the events.
    async fn seen(&self, projection: &BatchProcessor, name: &str) -> (Outcome, Vec<String>, Vec<String>) {
        let outcome = apply(projection, &written(&self.schemas)).await;
        let seen =
            "select concat_ws(' | ', one, coalesce(other, 'null')) from bank.seen where by = $1 order by 1";
        let parked = "select reason from aqueduct.parked where projection = $1 order by 1";
        let rows = |query: &'static str| {
            let rows = sqlx::query_scalar(query).bind(name.to_owned());
            async { rows.fetch_all(&self.database.pool).await.unwrap() }
        };
        (outcome, rows(seen).await, rows(parked).await)
    }
}

/// An expression over `e.data`, of any form that Postgres may read otherwise than it looks.
fn expression() -> impl Strategy<Value = String> {
    let before =
        select(vec!["", "", "", "", "", "not ", "- ", "'x' || ", "b.doc || ", "b.doc - ", "b.doc @> "]);
    let data = select(vec![
        "e.data",
        "e.data",
        "e.data",
        "data",
        "E.DATA",
        "\"e\".\"data\"",
        "(e.data)",
        "b.doc",
        "(e).data",
    ]);
    let operator =
        select(vec!["->", "->", "->", " -> ", "->>", "->>", "#>", "#>>", "@>", "?", "||", "-", "-/**/>"]);
    let literal = select(vec![
        "'id'",
        "'lines'",
        "'lines'",
        "'branch'",
        "'labels'",
        "'amount'",
        "'data'",
        "'missing'",
        "0",
        "'{lines,0}'",
        "'{\"id\": \"a\"}'",
        "e'i\\144'",
        "'i'\n'd'",
        "'id'::text",
        "'idx'::char(2)",
        "b.field",
        "n'id'",
        "$$id$$",
        "'id' collate \"C\"",
        "u&'!0069d' uescape '!'",
        "'{branch,name}'",
    ]);
    let behind = select(vec![
        "",
        "",
        "",
        "",
        "->0",
        "->'name'",
        "->>'name'",
        "->'tags'->>0",
        "->0->>'sku'",
        " || '[]'",
        " ? 'name'",
        " is null",
        " = 'a'",
        "#>>'{0,sku}'",
        "::text",
        " in ('a')",
        "->-1",
    ]);
    let around = select(vec![
        "%",
        "%",
        "%",
        "(%)",
        "jsonb_array_length(%)",
        "jsonb_array_length(%)",
        "jsonb_array_length((%))",
        "pg_catalog.jsonb_array_length(%)",
        "coalesce(%, null)",
        "to_jsonb(%)",
        "jsonb_typeof(%)",
        "array[%]",
        "(select count(*) from jsonb_array_elements(%))",
        "(select max(l->>'sku') from jsonb_array_elements(%) l)",
        "case when (%) is null then 1 else 2 end",
        "jsonb_build_array(%, e.data->'id')",
        "to_jsonb(e)",
        "to_jsonb(b)",
        "(select (%) from (select e.data->'branch' as data) e)",
        "row(%, e.data->>'id')",
        "greatest(%, e.data->>'amount')",
    ]);
    let unusual = (before, data, operator, literal, behind, around);
    let usual = (select(vec!["e.data", "data"]), select(vec!["'id'", "'lines'", "'branch'"]));
    // One part is unusual: of several Postgres refuses nearly all.
    (0..6, unusual, usual).prop_map(|(at, unusual, (data, literal))| {
        let (before, odd_data, operator, odd_literal, behind, around) = unusual;
        let part = |number: i32, unusual, usual| if number == at { unusual } else { usual };
        let expression = [
            part(0, before, ""),
            part(1, odd_data, data),
            part(2, operator, "->"),
            part(3, odd_literal, literal),
            part(4, behind, ""),
        ];
        part(5, around, "%").replace('%', &expression.concat())
    })
}

fn statement() -> impl Strategy<Value = (String, String)> {
    let source = select(vec![
        "$events e",
        "$events e",
        "$events e",
        "$events e",
        "$events as e (kind)",
        "(select * from $events v) e",
        "(select v.data, v.type from $events v) e",
        "(select v.data->'branch' as data from $events v) e",
        "(select data from $events e) e",
        "(table $events) e",
        "(values (1)) n cross join $events e",
    ]);
    let version = select(vec![NO_VERSION, VERSION]);
    let other = prop_oneof![3 => Just("null".to_owned()), 1 => expression()];
    (version, source, expression(), other).prop_map(|(version, source, one, other)| {
        let b = "(select '{\"id\": \"b\", \"lines\": [1]}'::jsonb as doc, 'id' as field) b";
        let statement = format!(
            "-- rows: any\ninsert into bank.seen select $by, ({one})::text, ({other})::text\n\
             from {source} cross join {b} where true"
        );
        (version.to_owned(), statement)
    })
}

/// Promise: a statement sees of an event what it would see if all of it were sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_what_it_reads_as_if_all_were_sent() {
    let setup = Setup::start().await;
    let handle = tokio::runtime::Handle::current();
    let mut config = ProptestConfig::with_cases(100);
    config.failure_persistence = None;
    let (cases, valid) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = |(version, statement): (String, String)| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let is_valid =
            tokio::task::block_in_place(|| handle.block_on(compare(&setup, case, &version, &statement)));
        valid.fetch_add(usize::from(is_valid), Ordering::Relaxed);
        Ok(())
    };
    if let Err(failure) = TestRunner::new(config).run(&statement(), run) {
        panic!("{failure}");
    }
    let valid = valid.into_inner();
    assert!(valid > 25, "Postgres refused all statements but {valid}");
}

/// Runs a statement as it is, and with a condition that reads all of `data`. Returns whether Postgres accepts it.
async fn compare(setup: &Setup, case: usize, version: &str, statement: &str) -> bool {
    let mut seen = Vec::new();
    for (kind, condition) in [("sent", ""), ("whole", " and e.data is not null")] {
        let name = format!("{kind}_{case}");
        let statement = format!("{}{condition}", statement.replace("$by", &format!("'{name}'")));
        match setup.projection(&name, version, &statement).await {
            Ok(projection) => seen.push(Some(setup.seen(&projection, &name).await)),
            Err(_) => seen.push(None),
        }
    }
    assert_eq!(seen[0], seen[1], "{version}\n{statement}");
    seen[0].is_some()
}

/// Promise: where a name does not mean what it means to Postgres, nothing is left out.
#[tokio::test]
async fn operators_and_functions_of_others_read_all() {
    let setup = Setup::start().await;
    let keys = "select count(*)::int from jsonb_object_keys($1)";
    let functions = format!(
        "create function bank.keys(jsonb, jsonb) returns int language sql immutable as '{keys}';
         create operator public.-> (function = bank.keys, leftarg = jsonb, rightarg = jsonb)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(functions)).execute(&setup.database.pool).await.unwrap();
    let statement = "insert into bank.seen select 'keys', (e.data -> '1')::text from $events e";
    let projection = setup.projection("keys", NO_VERSION, statement).await.unwrap();
    let (outcome, seen, _) = setup.seen(&projection, "keys").await;
    assert_eq!(outcome.applied, 8);
    let expected = |fields: &str| vec![format!("{fields} | null"); 4];
    assert_eq!(seen, [expected("6"), expected("7")].concat());
}
