//! Requests without a server, and what all services answer to bad ones.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt as _;

use crate::store::{TestStore, commands};

pub(crate) const KEY: &str = "6f1c5bd6-5a4e-4c55-8a0a-2f6f7f6f9a01";
pub(crate) const OTHER_KEY: &str = "6f1c5bd6-5a4e-4c55-8a0a-2f6f7f6f9a02";

/// What a service answered.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// Code of the problem that came back.
    #[track_caller]
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        let code = self.body["type"].as_str().and_then(|urn| urn.strip_prefix("urn:aqueduct:shop:"));
        code.expect("a code")
    }

    /// What is wrong, in words.
    #[track_caller]
    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().expect("a detail")
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Reply { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn request(method: Method, path: &str, key: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    request.body(body.into()).unwrap()
}

pub(crate) async fn post(router: &Router, path: &str, key: &str, body: &Value) -> Reply {
    send(router, request(Method::POST, path, Some(key), body.to_string())).await
}

pub(crate) async fn get(router: &Router, path: &str) -> Reply {
    send(router, request(Method::GET, path, None, Body::empty())).await
}

/// Read models that nobody serves.
pub(crate) fn no_views() -> PgPool {
    let options = sqlx::postgres::PgPoolOptions::new().acquire_timeout(std::time::Duration::from_millis(200));
    options.connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap()
}

fn users() -> Router {
    aqueduct_shop::users::router(commands(&TestStore::default()), no_views())
}

fn user() -> Value {
    json!({ "userId": "17850", "country": "United Kingdom", "registeredAt": "2010-12-01T08:26:00.000" })
}

#[tokio::test]
async fn a_command_needs_an_idempotency_key() {
    let missing = send(&users(), request(Method::POST, "/users", None, user().to_string())).await;
    assert_eq!((missing.status, missing.problem()), (StatusCode::BAD_REQUEST, "idempotency-key"));
    assert!(missing.detail().contains("is missing"), "{}", missing.detail());

    let wrong = post(&users(), "/users", "17850", &user()).await;
    assert_eq!((wrong.status, wrong.problem()), (StatusCode::BAD_REQUEST, "idempotency-key"));
    assert!(wrong.detail().contains("not a UUID"), "{}", wrong.detail());
}

/// As draft-ietf-httpapi-idempotency-key-header says: 422 for another payload, and quotes are the standard form.
#[tokio::test]
async fn an_idempotency_key_may_be_quoted_and_belongs_to_one_payload() {
    let store = TestStore::default();
    let router = aqueduct_shop::users::router(commands(&store), no_views());
    assert_eq!(post(&router, "/users", KEY, &user()).await.status, StatusCode::CREATED);

    let quoted = format!("\"{KEY}\"");
    let reordered =
        r#" { "registeredAt": "2010-12-01T08:26:00.000", "country": "United Kingdom", "userId": "17850" } "#;
    for body in [user().to_string(), reordered.to_owned()] {
        let again = send(&router, request(Method::POST, "/users", Some(&quoted), body)).await;
        assert_eq!((again.status, &again.body["repeated"]), (StatusCode::OK, &json!(true)), "{}", again.body);
    }

    let mut other = user();
    other["country"] = "France".into();
    let refused = post(&router, "/users", KEY, &other).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused")
    );
    assert_eq!(store.types("user-17850").await, ["UserRegistered"]);

    for malformed in ["\"\"", "\"", &format!("\"{KEY}")] {
        let refused = post(&router, "/users", malformed, &user()).await;
        assert_eq!(
            (refused.status, refused.problem()),
            (StatusCode::BAD_REQUEST, "idempotency-key"),
            "{malformed}"
        );
    }
}

/// An event larger than a Kafka record would halt its lane, so the request is refused.
#[tokio::test]
async fn what_could_not_be_relayed_is_refused_with_its_field_or_as_a_whole() {
    let store = TestStore::default();
    let router = aqueduct_shop::users::router(commands(&store), no_views());
    let with_country = |bytes: usize| {
        let mut user = user();
        user["country"] = "x".repeat(bytes).into();
        user
    };
    let field = post(&router, "/users", KEY, &with_country(1_001)).await;
    assert_eq!((field.status, field.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-command"));
    assert!(field.detail().starts_with("country must not be longer"), "{}", field.detail());
    let whole = post(&router, "/users", KEY, &with_country(900_000)).await;
    assert_eq!((whole.status, whole.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "body"));
    assert_eq!(post(&router, "/users", KEY, &with_country(1_000)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_bad_body_is_answered_with_its_place() {
    let router = users();
    let mut unknown = user();
    unknown["contry"] = "France".into();
    let mut wrong = user();
    wrong["registeredAt"] = "yesterday".into();
    for (body, status, says) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST, "line 1"),
        (unknown.to_string(), StatusCode::UNPROCESSABLE_ENTITY, "unknown field `contry`"),
        (wrong.to_string(), StatusCode::UNPROCESSABLE_ENTITY, "registeredAt"),
        (format!("\"{}\"", "x".repeat(1024 * 1024)), StatusCode::PAYLOAD_TOO_LARGE, "limit"),
    ] {
        let reply = send(&router, request(Method::POST, "/users", Some(KEY), body)).await;
        assert_eq!((reply.status, reply.problem()), (status, "body"), "{}", reply.body);
        assert!(reply.detail().contains(says), "{}", reply.detail());
    }
    let mut plain = request(Method::POST, "/users", Some(KEY), user().to_string());
    plain.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(send(&router, plain).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist_are_problems_too() {
    let nowhere = get(&users(), "/customers").await;
    assert_eq!((nowhere.status, nowhere.problem()), (StatusCode::NOT_FOUND, "not-found"));
    let method = get(&users(), "/users").await;
    assert_eq!((method.status, method.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
}

#[tokio::test]
async fn views_that_are_gone_may_come_back() {
    let reply = get(&users(), "/users/17850").await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_may_come_back() {
    let store = TestStore::default();
    let router = aqueduct_shop::users::router(commands(&store), no_views());
    store.break_streams("user-");
    let reply = post(&router, "/users", KEY, &user()).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(reply.headers.contains_key(header::RETRY_AFTER));

    store.repair();
    let reply = post(&router, "/users", KEY, &user()).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(store.types("user-17850").await, ["UserRegistered"]);
}
