//! Publishing, encoding and decoding against registries.

use std::sync::Arc;

use aqueduct_core::ErrorKind;
use aqueduct_devstack::{DevStack, Options, Part};
use aqueduct_schema::{
    DecodeError, PublishError, RecordDecoder, RecordEncoder, Registry, RegistryError, RegistryOptions,
    SchemaSet, TopicEvents, publish,
};
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::any;
use serde_json::json;

use crate::shop_events::shop;

fn client(url: &str) -> Registry {
    Registry::new(&RegistryOptions::new(url)).unwrap()
}

async fn in_process() -> DevStack {
    DevStack::start(Options { registry: Part::start(), ..Options::none() }).await.unwrap()
}

fn topics(set: &SchemaSet) -> [TopicEvents; 2] {
    ["users", "orders"].map(|context| {
        let events = set.events().filter(|event| event.context() == context);
        let event_types = events.map(|event| event.event_type().to_owned()).collect();
        TopicEvents { topic: format!("shop.{context}"), event_types }
    })
}

const ORDER_V1: &str = r#"{"orderId": "1", "customer": null, "placed": "2010-12-01 08:26:00", "country": "EIRE",
    "lines": [{"sku": "A", "description": "", "quantity": 2, "unitPrice": "0.001"}], "charges": []}"#;

/// From files to the registry, from a stored event to a record, from the record to JSON.
async fn there_and_back(registry: Registry) {
    let set = shop();
    let published = publish(&set, &registry, &topics(&set)).await.unwrap();
    let subjects: Vec<_> = published.iter().map(|one| one.subject.as_str()).collect();
    let expected = [
        "shop.users-shop.users.UserRegistered",
        "shop.orders-shop.orders.OrderCancelled",
        "shop.orders-shop.orders.OrderConfirmed",
        "shop.orders-shop.orders.OrderCreated",
        "shop.orders-shop.orders.OrderRejected",
        "shop.orders-shop.orders.ReturnReceived",
    ];
    assert_eq!(subjects, expected);
    assert_eq!((published[3].schema_version, published[3].version), (2, 1));
    assert_eq!(publish(&set, &registry, &topics(&set)).await.unwrap(), published, "publishing is idempotent");

    let encoder = RecordEncoder::new(Arc::clone(&set), registry.clone(), "shop.orders");
    encoder.prepare(["OrderCreated"]).await.unwrap();
    let record = encoder.encode("OrderCreated", 1, ORDER_V1.as_bytes()).unwrap();
    assert_eq!(&*record.full_name, "shop.orders.OrderCreated");
    assert_eq!((record.schema_version, record.upcasted), (2, true));
    assert_eq!(record.bytes[0], 0);
    assert_eq!(record.bytes[1..5], published[3].id.to_be_bytes());

    let decoded = RecordDecoder::new(registry).decode(&record.bytes).await.unwrap();
    assert_eq!(decoded.event_type(), "OrderCreated");
    let expected = json!({
        "orderId": "1", "customerId": null, "placedAt": "2010-12-01T08:26:00.000", "country": "EIRE",
        "currency": "GBP", "charges": [], "total": "0.200",
        "lines": [{"sku": "A", "description": "", "quantity": 2, "unitPrice": "0.100"}],
    });
    assert_eq!(decoded.json, expected);
}

#[tokio::test]
async fn there_and_back_with_the_registry_in_process() {
    let stack = in_process().await;
    there_and_back(client(stack.registry_url().unwrap())).await;
    stack.shutdown().await;
}

#[tokio::test]
async fn there_and_back_with_apicurio() {
    let stack = DevStack::start(Options { apicurio: Part::start(), ..Options::none() }).await.unwrap();
    there_and_back(client(stack.apicurio_url().unwrap())).await;
    stack.shutdown().await;
}

#[tokio::test]
async fn what_is_not_registered_stops_with_the_command_and_works_once_it_is() {
    let stack = in_process().await;
    let (set, registry) = (shop(), client(stack.registry_url().unwrap()));
    let encoder = RecordEncoder::new(Arc::clone(&set), registry.clone(), "shop.users");
    let error = encoder.prepare(["UserRegistered"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stop);
    assert_eq!(
        error.to_string(),
        format!(
            "schema registry, look-up of shop.users-shop.users.UserRegistered at {}: version 1 of \
             UserRegistered is not registered; run `aqueduct schemas publish`",
            registry.url()
        )
    );
    publish(&set, &registry, &topics(&set)).await.unwrap();
    encoder.prepare(["UserRegistered"]).await.unwrap();
    // Under another topic the same schema is still unknown, and looking it up registered nothing.
    let elsewhere = RecordEncoder::new(set, registry, "shop.orders");
    assert_eq!(elsewhere.prepare(["UserRegistered"]).await.unwrap_err().kind(), ErrorKind::Stop);
    assert_eq!(elsewhere.prepare(["UserRegistered"]).await.unwrap_err().kind(), ErrorKind::Stop);
    stack.shutdown().await;
}

#[tokio::test]
async fn an_unreachable_registry_is_asked_again() {
    let stack = in_process().await;
    let (set, registry) = (shop(), client(stack.registry_url().unwrap()));
    publish(&set, &registry, &topics(&set)).await.unwrap();
    let encoder = RecordEncoder::new(set, registry.clone(), "shop.users");
    let decoder = RecordDecoder::new(registry);
    stack.registry().unwrap().stop().await;
    assert_eq!(encoder.prepare(["UserRegistered"]).await.unwrap_err().kind(), ErrorKind::Retry);
    let record = [&[0, 0, 0, 0, 1][..], b"\x02u\x02c\x00"].concat();
    assert_eq!(decoder.decode(&record).await.unwrap_err().kind(), ErrorKind::Retry);
    stack.registry().unwrap().start().await.unwrap();
    encoder.prepare(["UserRegistered"]).await.unwrap();
    let event = br#"{"userId": "u", "country": "c", "registeredAt": "1970-01-01T00:00:00"}"#;
    let encoded = encoder.encode("UserRegistered", 1, event).unwrap();
    assert!(decoder.decode(&encoded.bytes).await.is_ok());
    // What is known needs no registry.
    stack.registry().unwrap().stop().await;
    encoder.prepare(["UserRegistered"]).await.unwrap();
    assert!(decoder.decode(&encoded.bytes).await.is_ok());
    stack.shutdown().await;
}

#[tokio::test]
async fn records_that_can_not_be_read_are_parked() {
    let stack = in_process().await;
    let (set, registry) = (shop(), client(stack.registry_url().unwrap()));
    let published = publish(&set, &registry, &topics(&set)).await.unwrap();
    let decoder = RecordDecoder::new(registry.clone());
    let refused = async |record: &[u8]| {
        let error = decoder.decode(record).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Park, "{error}");
        error.to_string()
    };
    let wire = "the value is not in wire format (a zero byte and a schema id before the data)";
    assert_eq!(refused(b"").await, wire);
    assert_eq!(refused(b"\x01\x00\x00\x00\x01").await, wire);
    let unknown = refused(b"\x00\x00\x0f\x42\x3f\x00").await;
    let expected =
        format!("schema registry, look-up of schema id 999999 at {}: not in the registry", registry.url());
    assert_eq!(unknown, expected);
    let id = published[0].id;
    let record = [&[0][..], &id.to_be_bytes(), &[2, b'u', 8]].concat();
    let payload = format!("schema id {id}: the payload does not fit: country: the bytes end too early");
    assert_eq!(refused(&record).await, payload);
    stack.shutdown().await;
}

#[tokio::test]
async fn encoding_refuses_what_is_unknown_or_does_not_fit() {
    let encoder = RecordEncoder::new(shop(), client("http://127.0.0.1:1"), "shop.users");
    // Without a schema there is nothing to look up; encoding reports it.
    encoder.prepare(["UserVanished"]).await.unwrap();
    let refused = |event_type: &str, version: u32, json: &str| {
        encoder.encode(event_type, version, json.as_bytes()).unwrap_err().to_string()
    };
    assert!(refused("UserVanished", 1, "{}").contains("there is no schema for this event type"));
    assert!(
        refused("UserRegistered", 2, "{}")
            .contains("there is no schema of this version, only of versions 1 to 1")
    );
    assert!(refused("UserRegistered", 1, "{}").ends_with("userId: missing"));
    let good = r#"{"userId": "u", "country": "c", "registeredAt": "1970-01-01T00:00:00"}"#;
    assert!(refused("UserRegistered", 1, good).contains("call prepare first"));
}

#[tokio::test]
async fn publishing_a_type_without_a_schema_names_topic_and_type() {
    let topic = TopicEvents { topic: "t".to_owned(), event_types: vec!["Nothing".to_owned()] };
    let error = publish(&shop(), &client("http://127.0.0.1:1"), &[topic]).await.unwrap_err();
    assert!(matches!(error, PublishError::UnknownEventType { .. }));
    assert_eq!(error.to_string(), "topic \"t\" carries event type Nothing, which has no schema");
}

/// A server that gives every request this answer, unless it has the password.
async fn answering(status: StatusCode, body: &'static str) -> String {
    let answer = move |headers: HeaderMap| async move {
        // user:secret
        if headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Basic dXNlcjpzZWNyZXQ=") {
            (StatusCode::OK, r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#)
        } else {
            (status, body)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

async fn look_up(options: &RegistryOptions) -> Result<(), RegistryError> {
    let registry = Registry::new(options)?;
    RecordEncoder::new(shop(), registry, "shop.users").prepare(["UserRegistered"]).await
}

#[tokio::test]
async fn each_answer_of_the_registry_has_its_kind() {
    let cases = [
        (500, r#"{"error_code": 50001, "message": "disk"}"#, ErrorKind::Retry),
        (500, "oops", ErrorKind::Retry),
        (502, "<html>", ErrorKind::Retry),
        (503, "", ErrorKind::Retry),
        (429, "", ErrorKind::Retry),
        (401, r#"{"error_code": 40101, "message": "who are you?"}"#, ErrorKind::Stop),
        (403, "", ErrorKind::Stop),
        (404, "no such page", ErrorKind::Stop),
        (404, r#"{"error_code": 40403, "message": "Schema not found"}"#, ErrorKind::Stop),
        (422, r#"{"error_code": 42201, "message": "Invalid schema"}"#, ErrorKind::Stop),
        (200, "{}", ErrorKind::Stop),
    ];
    for (status, body, kind) in cases {
        let url = answering(StatusCode::from_u16(status).unwrap(), body).await;
        let error = look_up(&RegistryOptions::new(&url)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}

#[tokio::test]
async fn basic_authentication_is_sent_and_never_shown() {
    let url = answering(StatusCode::UNAUTHORIZED, "").await;
    let mut options = RegistryOptions::new(&url);
    options.username = Some("user".to_owned());
    options.password = Some("secret".to_owned());
    look_up(&options).await.unwrap();
    assert!(!format!("{options:?}").contains("secret"));
    assert!(!format!("{:?}", Registry::new(&options).unwrap()).contains("secret"));
    options.password = Some("guess".to_owned());
    let refused = look_up(&options).await.unwrap_err();
    assert!(refused.to_string().contains("check the user name and the password"), "{refused}");
    // An id of a schema that is not an event.
    options.password = Some("secret".to_owned());
    let decoder = RecordDecoder::new(Registry::new(&options).unwrap());
    let error = decoder.decode(&[0, 0, 0, 0, 7, 2]).await.unwrap_err();
    assert!(matches!(error, DecodeError::Schema { id: 7, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Stop);
}

#[tokio::test]
async fn an_authority_that_can_not_be_read_names_the_file() {
    let mut options = RegistryOptions::new("https://localhost");
    options.ca_file = Some("/nowhere/ca.pem".into());
    let error = Registry::new(&options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stop);
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
