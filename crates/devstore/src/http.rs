//! The few HTTP endpoints that health checks and clients ask for, on the port of the gRPC services.

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::grpc::SERVER_VERSION;

pub(crate) fn router() -> Router {
    Router::new()
        .route("/health/live", get(|| async { StatusCode::NO_CONTENT }))
        .route("/ping", get(|| async { Json(json!({ "text": "Ping request successfully handled" })) }))
        .route("/info", get(|| async { Json(info()) }))
}

fn info() -> Value {
    json!({
        "esVersion": SERVER_VERSION,
        "state": "leader",
        "features": { "projections": false, "userManagement": false, "atomPub": false },
        "authentication": { "type": "insecure", "properties": {} },
        "product": format!("aqueduct devstore {}, for development and tests", env!("CARGO_PKG_VERSION")),
    })
}

/// Every other path: to a gRPC client the method is unimplemented, to others there is nothing.
pub(crate) async fn unknown(headers: HeaderMap) -> Response {
    let is_grpc =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        // Code 12 is UNIMPLEMENTED.
        ([(CONTENT_TYPE.as_str(), "application/grpc"), ("grpc-status", "12")], ()).into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}
