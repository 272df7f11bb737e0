//! What the services' HTTP interfaces have in common: the idempotency key, JSON bodies, answers and errors.

mod problem;
mod request;
mod response;

pub use problem::Problem;
pub(crate) use request::{Idempotency, JsonBody, QueryString};
pub use response::{CommandResponse, ResponseEvent};

use axum::Router;
use axum::extract::DefaultBodyLimit;

/// A body may hold this many bytes: no more than the store takes in one append.
const BODY_LIMIT: usize = 1024 * 1024;

/// Gives a service's routes the limits and errors that all have.
pub(crate) fn framed(routes: Router) -> Router {
    routes
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}
