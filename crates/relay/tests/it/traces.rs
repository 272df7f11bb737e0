//! One trace from the command to the record, and on.

use std::sync::{Arc, Mutex};

use aqueduct_relay::header;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{World, shared_stack};

#[derive(Debug, Clone, Default)]
struct Collected(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collected {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[tokio::test]
async fn a_batch_links_to_the_traces_of_its_events_and_records_pass_them_on() {
    let collected = Collected::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(collected.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    // With a single dispatcher alive, a span that another test's thread meets first is off for all threads.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let world = World::new(shared_stack().await).await;
    world.append_notes(2, 3).await;
    let relay = world.start();
    let records = world.assert_complete(3).await;
    relay.stop().await;

    for record in records {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(record.headers[header::TRACEPARENT], traceparent);
    }
    provider.force_flush().unwrap();
    let spans = collected.0.lock().unwrap();
    let links = spans.iter().filter(|span| span.name == "relay batch").flat_map(|span| span.links.iter());
    let links: Vec<_> = links.map(|link| link.span_context.clone()).collect();
    assert!(!links.is_empty(), "no links in {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    for context in links {
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
    }
}
