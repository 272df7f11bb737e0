//! Cases from the field: schemas and values that once came out wrong here, or could have.
//!
//! A folder of `field_cases` has schema files, and in `ops.json` what is done with them, each with what is right.

use std::fs;
use std::path::Path;

use aqueduct_core::Codec;
use aqueduct_schema::{RecordDecoder, Registry, RegistryOptions, SchemaSet, generate};
use axum::Router;
use axum::routing::any;
use serde::Deserialize;
use serde_json::{Value, json};

const EVENT: &str = "E";

#[derive(Deserialize)]
struct Op {
    op: String,
    /// What is right: the value as text, or the error.
    right: String,
    json: Option<String>,
    hex: Option<String>,
    /// The text of a schema that a registry has, or the file with it.
    schema: Option<String>,
    schema_file: Option<String>,
}

#[tokio::test]
async fn each_case_comes_out_right() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/field_cases");
    let mut folders: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 49, "{} cases", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let ops = fs::read_to_string(folder.join("ops.json")).unwrap();
        let ops: Vec<Op> = serde_json::from_str(&ops).unwrap();
        for (number, op) in ops.iter().enumerate() {
            let result = play(&folder, op).await.unwrap_or_else(|error| format!("error: {error}"));
            if result != op.right {
                let case = folder.file_name().unwrap().display();
                wrong.push(format!("{case}, {number} ({}): {result}; right: {}", op.op, op.right));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

async fn play(folder: &Path, op: &Op) -> Result<String, String> {
    if op.op == "untrusted" {
        let schema = match (&op.schema, &op.schema_file) {
            (Some(text), _) => text.clone(),
            (None, file) => fs::read_to_string(folder.join(file.as_ref().unwrap())).unwrap(),
        };
        return read_by(&schema, &bytes(op)).await;
    }
    let schemas = folder.join("schemas");
    let set = SchemaSet::load(&schemas)
        .map_err(|error| error.to_string().replace(&format!("{}/", schemas.display()), ""))?;
    let json = || op.json.clone().unwrap();
    let latest = set.event(EVENT).unwrap().latest();
    let answer = match op.op.as_str() {
        "load" => return Ok("loaded".to_owned()),
        "generate" => {
            return generate(&set).map(|_| "generated".to_owned()).map_err(|error| error.to_string());
        }
        "schema" => return Ok(set.event(EVENT).unwrap().schema(latest).unwrap().to_owned()),
        "check" => set.check(EVENT, 1, json().into_bytes()).map(text),
        "upcast" => set.upcast(EVENT, 1, &json().into()).map(text),
        "to_avro" => set.to_avro(EVENT, 1, json().as_bytes()).map(|avro| hex(&avro)),
        "from_avro" => set.from_avro::<Value>(EVENT, 1, &bytes(op)).map(|json| json.to_string()),
        "roundtrip" => set.to_avro(EVENT, 1, json().as_bytes()).and_then(|avro| {
            let back: Value = set.from_avro(EVENT, latest, &avro)?;
            Ok(format!("{} {back}", hex(&avro)))
        }),
        other => panic!("{}: there is no op {other}", folder.display()),
    };
    answer.map_err(|error| error.to_string())
}

/// Reads a record whose schema is in a registry.
async fn read_by(schema: &str, avro: &[u8]) -> Result<String, String> {
    let answer = json!({"schema": schema}).to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(|| async move { answer }));
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let decoder = RecordDecoder::new(Registry::new(&RegistryOptions::new(&url)).unwrap());
    let record = [&[0, 0, 0, 0, 1], avro].concat();
    let decoded = decoder.decode(&record).await;
    server.abort();
    decoded.map(|record| record.json.to_string()).map_err(|error| error.to_string())
}

fn text(json: bytes::Bytes) -> String {
    String::from_utf8(json.to_vec()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(op: &Op) -> Vec<u8> {
    let digits = op.hex.as_deref().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|start| u8::from_str_radix(&digits[start..start + 2], 16).unwrap()).collect()
}
