//! Errors over HTTP: RFC 9457.

use aqueduct::{ErrorKind, ExecuteError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, RefusalKind};

/// Seconds after which a caller should try again what the store, or the views, could not do.
const RETRY_AFTER: u64 = 1;

/// `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:aqueduct:shop:<code>`; the codes are stable.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong with this request.
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
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address has other methods")
    }

    /// A fault of the system: the log has it, the caller gets to know that it is there.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the service's log says what is broken")
    }

    /// A part of the system that may come back.
    pub(crate) fn unavailable(part: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error, part, "a request could not be answered for now");
        let detail = format!("{part} can't be reached: try again, with the same idempotency key");
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
            _ if error.kind() == ErrorKind::Retry => Self::unavailable("the event store", &error),
            _ => Self::internal(&error),
        }
    }
}

/// A view could not be asked.
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
