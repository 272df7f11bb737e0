//! Traces and metrics.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aqueduct_projection::{Projection, metrics as names};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::bank::{Accounts, deposited};
use crate::reactors::{Clerk, ClerkReactor};
use crate::support::{Database, Running, TestRecord, Topic, event, eventually, plain, records, stack};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_batch_links_to_the_traces_of_its_events_and_a_reaction_continues_its_own() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    // With a single dispatcher alive, a span that another test's thread meets first is off for all threads.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());

    let database = Database::create().await;
    let clerk = ClerkReactor(Arc::new(Clerk::default()));
    let batches = Projection::reactor(database.options(), plain(), clerk).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let traced =
        TestRecord { more: vec![("traceparent", PARENT.to_owned())], ..event("account-1", 0, &deposited(1)) };
    batches.apply(records(epoch, 0, &[traced, event("account-2", 0, &deposited(1))])).await.unwrap().unwrap();

    let spans = exporter.get_finished_spans().unwrap();
    let batch = spans.iter().find(|span| span.name == "project").unwrap();
    let links: Vec<_> = batch.links.iter().map(|link| link.span_context.span_id().to_string()).collect();
    assert_eq!(links, ["00f067aa0ba902b7"]);
    let continued: Vec<_> =
        spans.iter().filter(|span| span.parent_span_id.to_string() == "00f067aa0ba902b7").collect();
    assert_eq!(continued.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["react"]);
    assert_eq!(continued[0].span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

pub(crate) static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    names::describe();
    handle
});

async fn wait_for_lag(topic: &str, expected: &str) {
    let has_lag = async || {
        let rendered = METRICS.render();
        let of_topic = |line: &&str| line.starts_with(names::LAG_RECORDS) && line.contains(topic);
        let lag = rendered.lines().find(of_topic).and_then(|line| line.rsplit(' ').next());
        if lag == Some(expected) { Ok(()) } else { Err(format!("the lag is {lag:?}, not {expected}")) }
    };
    eventually(has_lag).await.unwrap();
}

/// Guarantee 2: a relay that was killed leaves an aborted transaction. The lag counts records, neither
/// transaction markers nor aborted records.
#[tokio::test(flavor = "multi_thread")]
async fn aborted_records_are_neither_applied_nor_counted_as_lag() {
    LazyLock::force(&METRICS);
    let database = Database::create().await;
    let brokers = stack().kafka_bootstrap().unwrap();
    Topic::create("bank.7", 1).await;
    let transactions = Transactions::new(brokers);
    let events = |revisions: std::ops::Range<i64>, amount: i64| -> Vec<TestRecord> {
        revisions.map(|revision| event("account-1", revision, &deposited(amount))).collect()
    };
    transactions.write(&events(0..5, 1), true);
    transactions.write(&events(5..10, 1000), false);
    transactions.write(&events(5..10, 1), true);

    let options = database.options_on(brokers, "lag");
    let running = Running::start(Projection::view::<Accounts<7>>(options, plain()));
    database.wait_for("select coalesce(sum(balance), 0)::bigint from bank.accounts", 10).await;
    wait_for_lag("bank.7", "0").await;

    // What is written while the table is locked is read but not applied.
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table bank.accounts in exclusive mode").execute(&mut *lock).await.unwrap();
    transactions.write(&events(10..17, 1), true);
    wait_for_lag("bank.7", "7").await;
    lock.rollback().await.unwrap();
    database.wait_for("select coalesce(sum(balance), 0)::bigint from bank.accounts", 17).await;
    wait_for_lag("bank.7", "0").await;
    running.stop().await;
}

struct Transactions(BaseProducer);

impl Transactions {
    fn new(brokers: &str) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("transactional.id", "projection-test")
            .create()
            .unwrap();
        producer.init_transactions(Duration::from_secs(60)).unwrap();
        Self(producer)
    }

    fn write(&self, events: &[TestRecord], commit: bool) {
        self.0.begin_transaction().unwrap();
        for event in events {
            self.0.send(event.for_kafka("bank.7", 0)).map_err(|(error, _)| error).unwrap();
        }
        self.0.flush(Duration::from_secs(60)).unwrap();
        if commit {
            self.0.commit_transaction(Duration::from_secs(60)).unwrap();
        } else {
            self.0.abort_transaction(Duration::from_secs(60)).unwrap();
        }
    }
}
