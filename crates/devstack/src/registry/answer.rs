use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

/// The content type of every answer.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A refusal, with Confluent's code for it.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("Subject '{0}' not found.")]
    NoSubject(String),
    #[error("Version {0} not found.")]
    NoVersion(u32),
    #[error("Schema not found")]
    NoSchema,
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoLevel(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotDeleted(String),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotDeleted(String, u32),
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {details}"
    )]
    Incompatible { subject: String, details: String },
    #[error("the request is not JSON of the expected form: {0}")]
    Malformed(String),
    #[error("the request is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no such resource")]
    NoResource,
    #[error("the schema could not be written to disk: {0}")]
    Disk(#[from] std::io::Error),
}

impl Refusal {
    fn code(&self) -> (StatusCode, u32) {
        match self {
            Self::NoResource => (StatusCode::NOT_FOUND, 404),
            Self::NoSubject(_) => (StatusCode::NOT_FOUND, 40401),
            Self::NoVersion(_) => (StatusCode::NOT_FOUND, 40402),
            Self::NoSchema => (StatusCode::NOT_FOUND, 40403),
            Self::SubjectNotDeleted(_) => (StatusCode::NOT_FOUND, 40405),
            Self::VersionNotDeleted(..) => (StatusCode::NOT_FOUND, 40407),
            Self::NoLevel(_) => (StatusCode::NOT_FOUND, 40408),
            Self::Incompatible { .. } => (StatusCode::CONFLICT, 409),
            Self::Malformed(_) => (StatusCode::UNPROCESSABLE_ENTITY, 422),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 413),
            Self::InvalidSchema(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42201),
            Self::InvalidVersion(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42202),
            Self::InvalidLevel => (StatusCode::UNPROCESSABLE_ENTITY, 42203),
            Self::Disk(_) => (StatusCode::INTERNAL_SERVER_ERROR, 50001),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error_code) = self.code();
        let body = json!({ "error_code": error_code, "message": self.to_string() });
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
    }
}

/// An answer in JSON.
#[derive(Debug)]
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
            Err(error) => Refusal::Disk(error.into()).into_response(),
        }
    }
}
