//! The HTTP frame of a process: `/health/live`, `/health/ready`, `/metrics`, and what the process adds.

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use crate::{Health, Telemetry, trace};

/// A port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: is another process using the port? choose another in the configuration")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens on `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Serves health, metrics and `app` until `shutdown` is cancelled and the current requests are answered.
/// Every request of `app` runs in a span that continues the caller's trace.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    telemetry: &Telemetry,
    health: &Health,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let (metrics, health) = (telemetry.metrics(), health.clone());
    let router = app
        .layer(axum::middleware::from_fn(in_span))
        .route("/health/live", get(|| async { StatusCode::NO_CONTENT }))
        .route("/health/ready", get(move || async move { ready(&health) }))
        .route("/metrics", get(move || async move { render(&metrics.render()) }));
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn ready(health: &Health) -> Response {
    let not_ready = health.not_ready();
    match not_ready.is_empty() {
        true => StatusCode::NO_CONTENT.into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(not_ready)).into_response(),
    }
}

fn render(metrics: &str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.to_owned()).into_response()
}

async fn in_span(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let span = tracing::info_span!(
        "http request",
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
    );
    if let Some(traceparent) = request.headers().get(trace::TRACEPARENT).and_then(|value| value.to_str().ok())
    {
        trace::continue_from(&span, traceparent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
