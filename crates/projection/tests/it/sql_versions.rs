//! SQL projections whose files are written for a version, with writers of other versions.

use std::path::Path;

use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_projection::{BatchProcessor, Outcome, Projection, SqlProjection, registry_decoder};
use aqueduct_schema::{Registry, RegistryOptions, TopicSchemas};
use serde_json::{Value, json};

use crate::schemas::{NO_FIELDS, encoded, registry};
use crate::sql::{apply, directory, write};
use crate::support::{Database, records};

const SUBJECT: &str = "bank.0-bank.Deposited";

const DEPOSITED: &str = "insert into bank.seen select e.version, e.data from $events e";

fn field(name: &str) -> Value {
    json!({ "name": name, "type": "int" })
}

fn with_default(name: &str) -> Value {
    json!({ "name": name, "type": "string", "default": "none" })
}

struct Servers {
    stack: DevStack,
    database: Database,
    directory: tempfile::TempDir,
}

impl Servers {
    async fn start(deposited: &str) -> Self {
        let options = StackOptions { registry: Part::start(), ..StackOptions::none() };
        let stack = DevStack::start(options).await.unwrap();
        let database = Database::create().await;
        sqlx::raw_sql("create table bank.seen (version bigint, data jsonb)")
            .execute(&database.pool)
            .await
            .unwrap();
        let directory = directory();
        write(directory.path(), "deposited.sql", deposited);
        Self { stack, database, directory }
    }

    fn name_version(&self, version: u32) {
        let definition = format!(
            "name = \"seen\"\ntopics = [\"bank.0\"]\n[types]\n\
             Deposited = {{ version = {version}, files = [\"deposited.sql\"] }}"
        );
        write(self.directory.path(), "projection.toml", &definition);
    }

    /// Registers a schema of deposits with these fields. Returns its id.
    async fn register(&self, subject: &str, fields: &[Value]) -> u32 {
        let name = subject.rsplit('.').next().unwrap();
        let schema = json!({ "type": "record", "name": name, "namespace": "bank", "fields": fields });
        let answer = reqwest::Client::new()
            .post(format!("{}/subjects/{subject}/versions", self.stack.registry_url().unwrap()))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .body(json!({ "schema": schema.to_string() }).to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }

    async fn projection(&self) -> Result<BatchProcessor, String> {
        self.projection_of_records_from(self.stack.registry_url().unwrap()).await
    }

    /// A projection that asks another registry for the schemas of records.
    async fn projection_of_records_from(&self, registry_url: &str) -> Result<BatchProcessor, String> {
        let options = RegistryOptions::new(self.stack.registry_url().unwrap());
        let registry = Some(Registry::new(&options).unwrap());
        let files = SqlProjection::load(Path::new(self.directory.path())).unwrap();
        let schemas = TopicSchemas { registry, ..TopicSchemas::default() };
        let decoder = registry_decoder(&RegistryOptions::new(registry_url)).unwrap();
        let projection = Projection::sql(self.database.options(), decoder, files, schemas);
        projection.batch_processor().await.map_err(|error| aqueduct_core::with_causes(&error))
    }
}

/// Promise: `data` has the fields of the version for which the files are written, whoever wrote the event.
#[tokio::test]
async fn events_of_other_versions_are_read_as_the_version_that_is_named() {
    let servers = Servers::start(DEPOSITED).await;
    let older = servers.register(SUBJECT, &[field("amount")]).await;
    let named = servers.register(SUBJECT, &[field("amount"), with_default("note")]).await;
    let newer =
        servers.register(SUBJECT, &[field("amount"), with_default("note"), with_default("more")]).await;
    servers.name_version(2);
    let batches = servers.projection().await.unwrap();
    let events = [
        encoded("account-1", older, &[14]),
        encoded("account-2", named, &[16, 2, b'b']),
        encoded("account-3", newer, &[18, 2, b'c', 2, b'x']),
    ];
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 3, ..Outcome::default() });
    let seen = servers.database.texts("select version || ' ' || data from bank.seen order by 1").await;
    assert_eq!(
        seen,
        [
            r#"2 {"note": "b", "amount": 8}"#,
            r#"2 {"note": "c", "amount": 9}"#,
            r#"2 {"note": "none", "amount": 7}"#
        ]
    );
}

/// Promise: nothing of an event is left out or invented.
#[tokio::test]
async fn a_writer_whose_schema_does_not_resolve_halts_the_projection() {
    let servers = Servers::start(DEPOSITED).await;
    servers.register(SUBJECT, &[field("amount")]).await;
    let other = servers.register("elsewhere-bank.Deposited", &[field("sum")]).await;
    servers.name_version(1);
    let batches = servers.projection().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let halted = batches.apply(records(epoch, 0, &[encoded("account-1", other, &[14])])).await.unwrap_err();
    let halted = aqueduct_core::with_causes(&halted);
    for part in [
        "record bank.0/0@0 could not be decoded as version 1 of Deposited, which",
        "projection.toml names",
        &format!("the writer's schema (id {other} of the registry) does not resolve to that"),
        "field amount of bank.Deposited",
    ] {
        assert!(halted.contains(part), "{halted}\ndoes not contain\n{part}");
    }
    assert_eq!(servers.database.number("select count(*) from aqueduct.parked").await, 0);
}

/// Promise: a record is not parked for the fault of its schema.
#[tokio::test]
async fn an_avro_schema_that_cannot_be_read_halts_files_of_a_version() {
    let servers = Servers::start(DEPOSITED).await;
    servers.register(SUBJECT, &[field("amount")]).await;
    servers.name_version(1);
    let other = registry().await;
    let batches = servers.projection_of_records_from(&other).await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let halted =
        batches.apply(records(epoch, 5, &[encoded("account-1", NO_FIELDS, &[14])])).await.unwrap_err();
    let halted = aqueduct_core::with_causes(&halted);
    for part in
        ["record bank.0/0@5", "version 1 of Deposited", "projection.toml", "schema id 2 cannot be read"]
    {
        assert!(halted.contains(part), "{halted}\ndoes not contain\n{part}");
    }
    assert_eq!(servers.database.number("select count(*) from aqueduct.parked").await, 0);
}

#[tokio::test]
async fn what_the_registry_does_not_have_is_named_before_an_event_is_read() {
    let servers = Servers::start(DEPOSITED).await;
    let refused = |problem: Result<BatchProcessor, String>, parts: &[&str]| {
        let Err(problem) = problem else { panic!("{parts:?}") };
        assert!(parts.iter().all(|part| problem.contains(part)), "{problem}\n{parts:?}");
    };
    servers.name_version(1);
    let unknown = ["projection.toml", "event type Deposited has no schema", "bank.0-….Deposited"];
    refused(servers.projection().await, &unknown);
    servers.register(SUBJECT, &[field("amount")]).await;
    assert!(servers.projection().await.is_ok());
    servers.name_version(2);
    refused(
        servers.projection().await,
        &["projection.toml", "bank.0-bank.Deposited, version 2", "not in the registry"],
    );
    servers.name_version(1);
    servers.register("bank.0-bank.Renamed", &[field("amount")]).await;
    let carries = ["projection.toml: topic bank.0 carries Renamed: name them in types or in ignored"];
    refused(servers.projection().await, &carries);
}

/// Promise: a file is not written for one type and given the events of another.
#[tokio::test]
async fn event_types_of_one_name_in_several_namespaces_are_not_mixed_up() {
    let servers = Servers::start(DEPOSITED).await;
    servers.register(SUBJECT, &[field("amount")]).await;
    servers.register("bank.0-old.bank.Deposited", &[field("sum")]).await;
    servers.name_version(1);
    let Err(problem) = servers.projection().await else { panic!("it started") };
    let subjects = "event type Deposited has several subjects in the registry: bank.0-bank.Deposited, bank.0-old.bank.Deposited;";
    assert!(problem.contains("projection.toml") && problem.contains(subjects), "{problem}");
}

#[tokio::test]
async fn a_field_that_the_named_version_does_not_have_is_an_error_with_its_line() {
    let statement = "insert into bank.seen\nselect 1, to_jsonb(e.data->>'amuont')\n  from $events e";
    let servers = Servers::start(statement).await;
    servers.register(SUBJECT, &[field("amount")]).await;
    servers.name_version(1);
    let Err(problem) = servers.projection().await else { panic!("it started") };
    assert!(
        problem.contains("deposited.sql, line 2: bank.Deposited has no field \"amuont\", it has amount"),
        "{problem}"
    );
}
