//! Reactors: at least once, in the order of the stream, different streams concurrently.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_core::ErrorKind;
use aqueduct_projection::{Claim, Envelope, Projection, ReactError, Reactor};
use async_trait::async_trait;
use tokio::sync::Barrier;

use crate::bank::{BankEvent, Deposited, deposited, opened};
use crate::support::{Database, Running, Topic, event, plain, records, stack};

/// Does what the amounts say, and records the events.
#[derive(Default)]
pub(crate) struct Clerk {
    seen: Mutex<Vec<String>>,
    failures: Mutex<HashMap<String, u32>>,
    barrier: Option<Barrier>,
}

const PARK: i64 = -1;
pub(crate) const FAIL_TWICE: i64 = -2;
const STOP: i64 = -3;
const PANIC: i64 = -4;
pub(crate) const BARRIER: i64 = -5;

pub(crate) struct ClerkReactor(pub(crate) Arc<Clerk>);

#[async_trait]
impl Reactor for ClerkReactor {
    const NAME: &'static str = "clerk";
    const TOPICS: &'static [&'static str] = &["bank.6"];
    type Event = BankEvent;

    async fn react(&self, event: &BankEvent, envelope: &Envelope) -> Result<(), ReactError> {
        let amount = match event {
            BankEvent::Deposited(Deposited { amount }) => *amount,
            _ => 0,
        };
        match amount {
            PARK => return Err(ReactError::new(ErrorKind::Park, "on purpose")),
            STOP => return Err(ReactError::new(ErrorKind::Stop, "on purpose")),
            PANIC => panic!("on purpose"),
            BARRIER => {
                tokio::time::timeout(Duration::from_secs(30), self.0.pass_barrier()).await.unwrap();
            }
            FAIL_TWICE => {
                let mut failures = self.0.failures.lock().unwrap();
                let failed = failures.entry(envelope.id.clone()).or_default();
                *failed += 1;
                if *failed <= 2 {
                    return Err(ReactError::new(ErrorKind::Retry, "not yet"));
                }
            }
            _ => {}
        }
        self.0.seen.lock().unwrap().push(envelope.id.clone());
        Ok(())
    }
}

impl Clerk {
    /// Its reactions to `BARRIER` wait until this many have met.
    pub(crate) fn with_barrier(count: usize) -> Self {
        Self { barrier: Some(Barrier::new(count)), ..Self::default() }
    }

    pub(crate) async fn pass_barrier(&self) {
        self.barrier.as_ref().unwrap().wait().await;
    }

    pub(crate) fn seen(&self, stream: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|id| id.ends_with(&format!("@{stream}"))).cloned().collect()
    }
}

/// Guarantees 3 and 6: an event that fails for a while, one that cannot be handled, one that panics.
#[tokio::test]
async fn only_the_stream_of_a_failing_event_waits() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::default());
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(&clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let events = [
        event("account-slow", 0, &deposited(FAIL_TWICE)),
        event("account-bad", 0, &deposited(PARK)),
        event("account-panic", 0, &deposited(PANIC)),
        event("account-good", 0, &opened("Paris")),
        event("account-slow", 1, &deposited(1)),
        event("account-bad", 1, &deposited(1)),
        event("account-good", 0, &opened("Paris")),
        event("account-good", 2, &deposited(1)),
    ];
    let outcome = batches.apply(records(epoch, 0, &events)).await.unwrap().unwrap();
    assert_eq!((outcome.applied, outcome.parked, outcome.gaps, outcome.duplicates), (3, 4, 1, 1));
    assert_eq!(clerk.seen("account-slow"), ["0@account-slow", "1@account-slow"]);
    assert_eq!(clerk.seen("account-good"), ["0@account-good"]);
    assert_eq!(clerk.seen("account-bad"), Vec::<String>::new());
    let parked = database.texts("select stream || ' ' || reason from aqueduct.parked order by id").await;
    assert_eq!(
        parked,
        [
            "account-bad bank.0/0@1: on purpose",
            "account-panic bank.0/0@2: the reactor panicked",
            "account-bad bank.0/0@5: an earlier event of the stream is parked",
            "account-good bank.0/0@7: gap: revision 1, which precedes it, is not the last applied one",
        ]
    );
}

#[tokio::test]
async fn different_streams_are_handled_concurrently() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::with_barrier(3));
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(&clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    // None of the three ends before all have started.
    let events = ["a", "b", "c"].map(|stream| event(&format!("account-{stream}"), 0, &deposited(BARRIER)));
    let outcome = batches.apply(records(epoch, 0, &events)).await.unwrap().unwrap();
    assert_eq!(outcome.applied, 3);
}

/// Guarantee 1: the reactor halts at an event; after a restart it is delivered again, with those after it.
#[tokio::test]
async fn an_unhandled_event_is_delivered_again() {
    let database = Database::create().await;
    let events = [event("account-1", 0, &deposited(1)), event("account-1", 1, &deposited(STOP))];
    let clerk = Arc::new(Clerk::default());
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(&clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let halted = batches.apply(records(epoch, 0, &events)).await.unwrap_err();
    let reason = std::error::Error::source(&halted).unwrap().to_string();
    assert_eq!(reason, "reactor clerk halted at record bank.0/0@1 (event 1@account-1)");
    let Claim { epoch, resume_at } = batches.claim("bank.0", 0).await.unwrap();
    assert_eq!(resume_at, None);
    let fixed = [events[0].clone(), event("account-1", 1, &deposited(2))];
    batches.apply(records(epoch, 0, &fixed)).await.unwrap().unwrap();
    // At least once: the first event was handled, but not committed.
    assert_eq!(clerk.seen("account-1"), ["0@account-1", "0@account-1", "1@account-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactor_runs_on_kafka_and_stops_gracefully() {
    let database = Database::create().await;
    let topic = Topic::create("bank.6", 4).await;
    let clerk = Arc::new(Clerk::default());
    let brokers = stack().kafka_bootstrap().unwrap();
    let options = database.options_on(brokers, "reactor");
    let projection = Projection::reactor(options, plain(), ClerkReactor(Arc::clone(&clerk)));
    let running = Running::start(projection);
    let events = |revision| (0..20).map(move |n| event(&format!("account-{n}"), revision, &deposited(1)));
    topic.write(&(0..5).flat_map(events).collect::<Vec<_>>()).await;
    database.wait_for("select sum(revision + 1)::bigint from aqueduct.inbox", 100).await;
    for stream in 0..20 {
        let stream = format!("account-{stream}");
        let expected: Vec<_> = (0..5).map(|revision| format!("{revision}@{stream}")).collect();
        assert_eq!(clerk.seen(&stream), expected);
    }
    running.stop().await;
}
