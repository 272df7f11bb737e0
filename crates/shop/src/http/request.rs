//! Extractors: the idempotency key, the body and the query of a request.

use aqueduct::CommandId;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::Problem;

/// The header `Idempotency-Key`: the id of the command, a UUID, bare or as a quoted string
/// (draft-ietf-httpapi-idempotency-key-header). A caller that received no response sends the request again with the same
/// key and gets the first result.
pub(crate) struct Idempotency(pub(crate) CommandId);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, "idempotency-key", detail);
        let value = parts
            .headers
            .get(IDEMPOTENCY_KEY)
            .ok_or_else(|| bad("the header Idempotency-Key is missing: send a new UUID with each command"))?;
        let text = value
            .to_str()
            .ok()
            .map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
        let key = text.and_then(|text| Uuid::try_parse(text).ok());
        let key = key.ok_or_else(|| bad("the header Idempotency-Key is not a UUID"))?;
        Ok(Self(key.into()))
    }
}

/// A JSON body.
struct JsonBody<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Problem::new(rejection.status(), "body", rejection.body_text())),
        }
    }
}

/// A JSON body with its payload, for the fingerprint of the command.
pub(crate) struct Fingerprinted<T> {
    pub(crate) body: T,
    pub(crate) payload: Payload,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Fingerprinted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let read = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes =
            read.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
        let request = Request::from_parts(parts, Body::from(bytes.clone()));
        let JsonBody(body) = JsonBody::<T>::from_request(request, state).await?;
        let json = serde_json::from_slice(&bytes).map_err(|error| Problem::internal(&error))?;
        Ok(Self { body, payload: Payload(json) })
    }
}

/// A JSON payload. White space and the order of members do not distinguish two of them.
pub(crate) struct Payload(Value);

impl Payload {
    /// The payloads of the items of an array.
    pub(crate) fn into_items(self) -> Vec<Self> {
        match self.0 {
            Value::Array(items) => items.into_iter().map(Self).collect(),
            value => vec![Self(value)],
        }
    }

    /// The bytes of the payload in a form that is the same for equal payloads.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut text = String::new();
        write_canonical(&self.0, &mut text);
        text.into_bytes()
    }
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            // Sorted here: whether the map keeps the order of insertion is a feature that any crate can turn on.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, member) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(member, text);
                text.push(',');
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// Query parameters.
pub(crate) struct QueryString<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::new(rejection.status(), "query", rejection.body_text())),
        }
    }
}
