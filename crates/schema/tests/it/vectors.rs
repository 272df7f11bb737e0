//! The golden vectors for consumers in other languages: what the decoder of the runner makes of their values.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aqueduct_core::ErrorKind;
use aqueduct_schema::{
    ReadError, ReaderSchema, RecordDecoder, Registry, RegistryOptions, SchemaSet, TopicSchemas,
};
use axum::extract::Path as UrlPath;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/vectors")
}

/// The registry of the vectors. It serves as long as the runtime.
async fn registry() -> Registry {
    let schema = |UrlPath(id): UrlPath<u32>| async move {
        let unknown = Json(json!({ "error_code": 40403, "message": "Schema not found" }));
        match fs::read_to_string(vectors().join(format!("registry/{id}.avsc"))) {
            Ok(schema) => (StatusCode::OK, Json(json!({ "schema": schema }))),
            Err(_) => (StatusCode::NOT_FOUND, unknown),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/schemas/ids/{id}", get(schema));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Registry::new(&RegistryOptions::new(url)).unwrap()
}

/// The versions that the templates in `tests/consumers` are written for.
async fn readers() -> Vec<(&'static str, ReaderSchema)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let files = Some(SchemaSet::load(folder).unwrap().into());
    let schemas = TopicSchemas { files, ..TopicSchemas::default() };
    let mut readers = Vec::new();
    for (event_type, version) in [("OrderCreated", 2), ("OrderConfirmed", 1), ("OrderCancelled", 1)] {
        readers.push((event_type, schemas.version(&[], event_type, version).await.unwrap()));
    }
    readers
}

/// What becomes of a value.
#[derive(Debug, PartialEq)]
enum Read {
    Data { event_type: String, data: Value },
    Failed(&'static str),
    Halts,
}

async fn read(decoder: &RecordDecoder, readers: &[(&str, ReaderSchema)], value: Option<&[u8]>) -> Read {
    let Some(value) = value else { return Read::Failed("payload") };
    let value = match decoder.value(value).await {
        Ok(value) => value,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Park, "{error}");
            return Read::Failed("payload");
        }
    };
    let name = value.full_name();
    let reader = readers.iter().find(|(event_type, _)| name == format!("shop.orders.{event_type}"));
    let Some((_, reader)) = reader else { return Read::Failed("unknown_type") };
    match reader.read(&value) {
        Ok(data) => Read::Data { event_type: name.to_owned(), data },
        Err(ReadError::Value(_)) => Read::Failed("payload"),
        Err(ReadError::Unresolvable { .. }) => Read::Halts,
    }
}

/// What the vector says of the value. A header that cannot be read says nothing of it.
fn expected(record: &Value) -> Read {
    match (record["halts"] == true, record["failed"].as_str()) {
        (true, _) => Read::Halts,
        (false, Some("payload")) => Read::Failed("payload"),
        (false, Some("unknown_type")) => Read::Failed("unknown_type"),
        (false, _) => Read::Data {
            event_type: record["type"].as_str().unwrap().to_owned(),
            data: record["data"].clone(),
        },
    }
}

#[tokio::test]
async fn the_values_of_the_vectors_are_read_as_they_say() {
    let (decoder, readers) = (RecordDecoder::new(registry().await), readers().await);
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(vectors()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let batches = vector["steps"].as_array().unwrap().iter().filter_map(|step| step["batch"].as_array());
        for record in batches.flatten() {
            let value = record["value"].as_str();
            let value = value.map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap());
            let read = read(&decoder, &readers, value.as_deref()).await;
            assert_eq!(read, expected(record), "{} {}", path.display(), record["offset"]);
            seen.insert(record["failed"].as_str().unwrap_or("none").to_owned());
        }
    }
    assert!(seen.iter().eq(["headers", "none", "payload", "unknown_type"]), "{seen:?}");
}
