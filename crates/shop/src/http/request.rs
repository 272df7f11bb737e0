//! What is read from a request.

use aqueduct::CommandId;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Problem;

/// The header `Idempotency-Key`: the id of the command. A caller that sends a request again, because it got
/// no answer, keeps the key and gets the first answer.
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
        let key = value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
        let key = key.ok_or_else(|| bad("the header Idempotency-Key is not a UUID"))?;
        Ok(Self(key.into()))
    }
}

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Problem::new(rejection.status(), "body", rejection.body_text())),
        }
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
