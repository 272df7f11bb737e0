//! Errors over HTTP: RFC 9457.

use aqueduct::{ErrorKind, ExecuteError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, RefusalKind};

/// Seconds after which a caller should retry when the store or the views are unavailable.
const RETRY_AFTER: u64 = 1;

/// `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:aqueduct:shop:<code>`; the codes are stable.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// Reason phrase of the status, `Conflict`.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong with the request.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            problem_type: format!("urn:aqueduct:shop:{code}"),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "the resource does not support this method",
        )
    }

    /// An error of the system: logged in full, reported to the caller without details.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error: see the log of the service")
    }

    /// A part of the system that is temporarily unavailable.
    pub(crate) fn unavailable(part: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error, part, "request failed: a part of the system is unavailable");
        let detail = format!("{part} cannot be reached: retry with the same idempotency key");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
}

impl<D: Refusal> From<ExecuteError<D>> for Problem {
    fn from(error: ExecuteError<D>) -> Self {
        match &error {
            ExecuteError::Domain(refusal) => {
                let status = match refusal.kind() {
                    RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
                    RefusalKind::Conflict => StatusCode::CONFLICT,
                    RefusalKind::NotFound => StatusCode::NOT_FOUND,
                };
                Self::new(status, refusal.code(), refusal.to_string())
            }
            ExecuteError::CommandIdReused { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "the idempotency key was already used for another payload: send a new request with a new key",
            ),
            _ if error.kind() == ErrorKind::Retry => Self::unavailable("the event store", &error),
            _ => Self::internal(&error),
        }
    }
}

/// A view could not be queried.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::unavailable("the read models", &error),
            _ => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }
}
