//! One trace from the command to the row: a test that follows one id.

use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use rdkafka::message::Message as _;
use serde_json::{Value, json};

use crate::support::{Pipeline, eventually};
use crate::topic::{committed_records, header};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Collects what is sent to it as OTLP over HTTP, in JSON.
async fn collector() -> (String, Arc<Mutex<Vec<Value>>>) {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&spans);
    let take = post(move |Json(export): Json<Value>| async move {
        let resources = export["resourceSpans"].as_array().cloned().unwrap_or_default();
        let scopes = resources.iter().flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
        let received = scopes.flat_map(|scope| scope["spans"].as_array().unwrap().iter().cloned());
        sink.lock().unwrap().extend(received);
        Json(json!({}))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", take)).await });
    (url, spans)
}

/// Whether the span belongs to the trace, or is a batch that links to it.
fn concerns(span: &Value) -> bool {
    let links = span["links"].as_array().cloned().unwrap_or_default();
    span["traceId"] == TRACE || links.iter().any(|link| link["traceId"] == TRACE)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_command_to_the_row() {
    let (collector, spans) = collector().await;
    let pipeline = Pipeline::start(&[("TELEMETRY__OTLP", &collector)]).await;
    let users = pipeline.service("users", &["shop", "users"]).await;
    let relay = pipeline.service("relay", &["relay"]).await;
    let projections = pipeline.service("projections", &["shop", "project"]).await;

    let registered = reqwest::Client::new()
        .post(format!("{}/users", users.url))
        .header("idempotency-key", "9e0c5d0e-5f0e-4d0b-9c56-51b3aa0e1d71")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&json!({"userId": "17850", "country": "France", "registeredAt": "2010-12-01T08:26:00"}))
        .send()
        .await
        .unwrap();
    assert_eq!(registered.status(), 201, "{}", registered.text().await.unwrap());

    let postgres = pipeline.postgres().await;
    eventually("the row is there", async || {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM shop.customers WHERE user_id = '17850'")
            .fetch_one(&postgres)
            .await
            .unwrap();
        (rows == 1).then_some(())
    })
    .await;

    let stored = pipeline.store().read_stream(&"user-17850".into(), 0, 1).await.unwrap();
    let metadata = stored[0].parse_metadata().unwrap();
    let traceparent = metadata.traceparent.unwrap();
    assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
    let records = committed_records(pipeline.stack.kafka_bootstrap().unwrap(), "shop.users");
    let record = records.iter().find(|record| record.key() == Some(b"user-17850"));
    let in_kafka = record.and_then(|record| header(record, "traceparent"));
    assert_eq!(in_kafka.as_ref(), Some(&traceparent), "the record carries the event's own context");

    // What is still in memory is sent when a process ends.
    for service in [users, relay, projections] {
        service.stop().await;
    }
    let spans = spans.lock().unwrap();
    let ours: Vec<_> = spans.iter().filter(|span| concerns(span)).collect();
    let names: Vec<_> = ours.iter().map(|span| span["name"].as_str().unwrap()).collect();
    let request =
        ours.iter().find(|span| span["parentSpanId"] == CALLER).unwrap_or_else(|| panic!("{names:?}"));
    assert_eq!(request["name"], "http request");
    for expected in ["command", "relay batch", "project"] {
        assert!(names.contains(&expected), "no span \"{expected}\" among {names:?}");
    }
}
