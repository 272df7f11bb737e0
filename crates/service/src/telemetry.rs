//! Logs, traces and metrics of a process.

use std::io::IsTerminal as _;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Upper bounds of the duration histograms, in seconds: from a fast append to a slow batch.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// A batch span links to the spans of all its events; OpenTelemetry's own limit of 128 would drop most.
const LINKS: u32 = 10_000;

/// `[telemetry]`: logs and traces. Metrics are always served, on `/metrics`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryOptions {
    /// What is logged, as in `RUST_LOG` (which wins): `info,aqueduct_relay=debug`. Empty: `info`.
    pub log: String,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Where spans are sent, OTLP over HTTP: `http://collector:4318/v1/traces`. Empty: nowhere; trace
    /// contexts are passed on all the same.
    pub otlp: String,
}

/// Logging, tracing or metrics cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log` is not a filter.
    #[error("telemetry.log: {0} is not a log filter; write for example `info,aqueduct_relay=debug`")]
    Filter(String, #[source] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp` is not an endpoint.
    #[error("telemetry.otlp: {0} cannot be used as an OTLP endpoint")]
    Endpoint(String, #[source] opentelemetry_otlp::ExporterBuildError),
    /// Something in this process was set up before.
    #[error("telemetry can be set up once in a process")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps the exporters alive. Spans still in memory are sent when it is dropped.
#[derive(Debug)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: PrometheusHandle,
}

impl Telemetry {
    /// The metrics of this process in Prometheus's text format.
    pub fn render_metrics(&self) -> String {
        self.metrics.render()
    }

    pub(crate) fn metrics(&self) -> PrometheusHandle {
        self.metrics.clone()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The collector may be gone; a process that ends has no other place to report it.
        let _ = self.traces.shutdown_with_timeout(Duration::from_secs(2));
    }
}

/// Sets up logs (to stderr), traces and metrics for the whole process; must run within a tokio runtime.
/// `service` is the name that traces carry.
pub fn init(service: &str, options: &TelemetryOptions) -> Result<Telemetry, TelemetryError> {
    let filter = filter(&options.log)?;
    let traces = tracer(service, &options.otlp)?;
    let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer(service.to_owned()));
    let text = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let logs = match options.json {
        true => text.json().boxed(),
        false => text.boxed(),
    };
    // Libraries open spans at lower levels for every frame they send: none of those is worth a trace.
    let spans = spans.with_filter(LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(spans).with(logs.with_filter(filter));
    registry.try_init().map_err(|error| TelemetryError::Twice(error.into()))?;
    let metrics = recorder().map_err(|error| TelemetryError::Twice(error.into()))?;
    Ok(Telemetry { traces, metrics })
}

fn filter(configured: &str) -> Result<EnvFilter, TelemetryError> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|value| !value.is_empty());
    let directives = from_environment.unwrap_or_else(|| match configured {
        "" => "info".to_owned(),
        configured => configured.to_owned(),
    });
    EnvFilter::try_new(&directives).map_err(|source| TelemetryError::Filter(directives, source))
}

fn tracer(service: &str, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.name", service.to_owned())).build();
    let builder = SdkTracerProvider::builder().with_resource(resource).with_max_links_per_span(LINKS);
    if endpoint.is_empty() {
        return Ok(builder.build());
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| TelemetryError::Endpoint(endpoint.to_owned(), source))?;
    Ok(builder.with_batch_exporter(exporter).build())
}

fn recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    const UPKEEP: Duration = Duration::from_secs(5);
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}
