//! The common parts of the services' HTTP interfaces: idempotency keys, JSON bodies, responses and errors.

mod problem;
mod request;
mod response;

pub use problem::Problem;
pub(crate) use request::{Fingerprinted, Idempotency, Payload, QueryString};
pub use response::{CommandResponse, ResponseEvent};

use axum::Router;
use axum::extract::DefaultBodyLimit;

/// The largest body, in bytes. What is accepted must also be stored and relayed: the event of a command is at most about
/// a tenth larger than the body, below the store's limit of 1 MiB, and its Avro record is smaller than the JSON and with
/// its headers below the relay's default of 1,000,000 bytes (`relay.max_record_bytes`).
const BODY_LIMIT: usize = 900_000;

/// Adds the common limits and errors to a service's routes.
pub(crate) fn framed(routes: Router) -> Router {
    routes
        .fallback(async || Problem::not_found("no resource has this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}
