//! The golden vectors for consumers in other languages.

use std::fs;
use std::path::{Path, PathBuf};

use axum::extract::Path as UrlPath;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/vectors")
}

/// All cases, with their names.
pub(crate) fn all() -> Vec<(String, Value)> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let cases = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    cases
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect()
}

/// Bytes in base64.
pub(crate) fn bytes(text: &Value) -> Option<Vec<u8>> {
    text.as_str().map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap())
}

/// Starts the registry of the vectors, which serves as long as the runtime. Returns its URL.
pub(crate) async fn registry() -> String {
    let schema = |UrlPath(id): UrlPath<u32>| async move {
        let text = |extension| fs::read_to_string(folder().join(format!("registry/{id}.{extension}")));
        if let Ok(schema) = text("avsc") {
            (StatusCode::OK, Json(json!({ "schema": schema })))
        } else if let Ok(schema) = text("proto") {
            (StatusCode::OK, Json(json!({ "schema": schema, "schemaType": "PROTOBUF" })))
        } else {
            (StatusCode::NOT_FOUND, Json(json!({ "error_code": 40403, "message": "not found" })))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/schemas/ids/{id}", get(schema));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
