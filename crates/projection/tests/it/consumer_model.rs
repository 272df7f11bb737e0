//! What `aqueduct_consumer.receive` says of random records in random batches is what a plain fold says of one after the other, and
//! what the runner does with them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use aqueduct_projection::{BatchProcessor, Projection};
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::bank::{Accounts, deposited};
use crate::consumer::Consumer;
use crate::support::{Database, TestRecord, event, plain, records};

#[derive(Debug, Clone)]
struct Received {
    stream: u8,
    /// Revision and previous revision; none for a record of another producer.
    revision: Option<(i64, Option<i64>)>,
    id: u8,
    is_invalid: bool,
    ends_batch: bool,
}

impl Received {
    /// `case` keeps the streams of a case apart from those of the others.
    fn stream(&self, case: u32) -> String {
        format!("account-{case}-{}", self.stream)
    }

    fn record(&self, case: u32) -> Value {
        let stream = self.stream(case);
        let source = format!("source {case}");
        match self.revision {
            None => {
                json!({ "key": stream, "timestamp": 1, "ce_source": source, "ce_id": self.id.to_string() })
            }
            Some((revision, previous)) => {
                let mut record = json!({
                    "key": stream, "timestamp": 1, "ce_source": source, "ce_subject": stream,
                    "ce_id": format!("{revision}@{stream}"), "ce_eventid": self.id.to_string(),
                    "ce_revision": revision.to_string(),
                });
                if let Some(previous) = previous {
                    record["ce_previousrevision"] = previous.to_string().into();
                }
                record
            }
        }
    }

    /// The same for the runner, which knows only records with a revision.
    fn test_record(&self, case: u32) -> Option<TestRecord> {
        let (revision, previous) = self.revision?;
        let mut record = event(&self.stream(case), revision, &deposited(1));
        record.previous = previous;
        record.more = vec![("ce_eventid", self.id.to_string())];
        if self.is_invalid {
            record.payload = b"{".to_vec();
        }
        Some(record)
    }
}

/// The contract in words, one record at a time.
#[derive(Default)]
struct Model {
    /// Revision and id of the last applied event of each stream.
    applied: HashMap<u8, (i64, u8)>,
    blocked: HashSet<u8>,
    /// Id of the event that is parked under a revision of a stream.
    parked: HashMap<(u8, i64), u8>,
    ids: HashSet<u8>,
}

impl Model {
    fn receive(&mut self, received: &Received) -> &'static str {
        let Received { stream, id, .. } = *received;
        let Some((revision, previous)) = received.revision else {
            if !self.ids.insert(id) {
                return "duplicate";
            }
            return self.blocks(received).unwrap_or("new");
        };
        let applied = self.applied.get(&stream).copied();
        let last = applied.map_or(-1, |(revision, _)| revision);
        if applied.is_some_and(|(last, last_id)| revision == last && id != last_id) {
            return "conflict";
        }
        if revision <= last {
            return "duplicate";
        }
        if let Some(result) = self.blocks(received) {
            return self.park(stream, revision, id, result);
        }
        if previous.is_some_and(|previous| previous != last) {
            self.blocked.insert(stream);
            return self.park(stream, revision, id, "gap");
        }
        self.applied.insert(stream, (revision, id));
        if previous.is_none() { "unjudged" } else { "new" }
    }

    fn park(&mut self, stream: u8, revision: i64, id: u8, result: &'static str) -> &'static str {
        let first = *self.parked.entry((stream, revision)).or_insert(id);
        if first == id { result } else { "conflict" }
    }

    fn blocks(&mut self, received: &Received) -> Option<&'static str> {
        if self.blocked.contains(&received.stream) {
            return Some("blocked");
        }
        received.is_invalid.then(|| {
            self.blocked.insert(received.stream);
            "invalid"
        })
    }
}

fn received() -> impl Strategy<Value = Received> {
    let previous = prop_oneof![1 => Just(None), 12 => Just(Some(1)), 2 => (0_i64..4).prop_map(Some)];
    let revision = (0_i64..8, previous)
        .prop_map(|(revision, before)| (revision, before.map(|before| (revision - before).max(-1))));
    let revision = prop_oneof![5 => revision.prop_map(Some), 1 => Just(None)];
    (0_u8..3, revision, 0_u8..8, prop::bool::weighted(0.05), prop::bool::weighted(0.2)).prop_map(
        |(stream, revision, id, is_invalid, ends_batch)| {
            // Mostly the same event under the same revision.
            let id = match revision {
                Some((revision, _)) if id < 7 => revision as u8,
                _ => id,
            };
            Received { stream, revision, id, is_invalid, ends_batch }
        },
    )
}

/// Histories that begin in order, so that streams get somewhere.
fn history() -> impl Strategy<Value = Vec<Received>> {
    let ordered = (0_u8..3, 1_i64..6).prop_map(|(stream, revisions)| {
        (0..revisions)
            .map(|revision| Received {
                stream,
                revision: Some((revision, Some(revision - 1))),
                id: revision as u8,
                is_invalid: false,
                ends_batch: revision % 2 == 0,
            })
            .collect::<Vec<_>>()
    });
    let pieces = prop_oneof![ordered, prop::collection::vec(received(), 1..6)];
    prop::collection::vec(pieces, 1..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn results_do_not_depend_on_the_batches() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let consumer = std::sync::Mutex::new(runtime.block_on(Consumer::start()));
    let cases = AtomicU32::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |(history in history())| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let mut model = Model::default();
        let expected: Vec<_> = history.iter().map(|received| model.receive(received)).collect();
        let mut consumer = consumer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut results = Vec::new();
        for batch in history.split_inclusive(|received| received.ends_batch) {
            results.extend(runtime.block_on(take(&mut consumer, batch, case)));
        }
        prop_assert_eq!(results, expected);
    });
}

/// What `receive` says of a batch, whose records are parked as it says.
async fn take(consumer: &mut Consumer, batch: &[Received], case: u32) -> Vec<String> {
    let records: Vec<_> = batch.iter().map(|received| received.record(case)).collect();
    let failed: Vec<_> = (1..)
        .zip(batch)
        .filter(|(_, received)| received.is_invalid)
        .map(|(ordinal, _)| json!({ "ordinal": ordinal }))
        .collect();
    consumer.take_with(&records, json!(failed)).await
}

#[test]
fn the_runner_parks_what_the_functions_park() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (consumer, database, runner) = runtime.block_on(async {
        let database = Database::create().await;
        let runner =
            Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
        (Consumer::start().await, database, runner)
    });
    let consumer = std::sync::Mutex::new(consumer);
    let cases = AtomicU32::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |(mut history in history())| {
        history.retain(|received| received.revision.is_some());
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let mut consumer = consumer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (of_functions, of_runner) = runtime.block_on(async {
            let first = consumer.next_offset;
            for batch in history.split_inclusive(|received| received.ends_batch) {
                take(&mut consumer, batch, case).await;
            }
            run(&runner, &history, case).await;
            (state(&consumer.database.pool, case, first).await, state(&database.pool, case, 0).await)
        });
        prop_assert_eq!(of_functions, of_runner);
    });
}

/// Each case has a partition of its own, which begins at offset 0.
async fn run(runner: &BatchProcessor, history: &[Received], case: u32) {
    let partition = case.cast_signed();
    let epoch = runner.claim("bank.0", partition).await.unwrap().epoch;
    let mut offset = 0;
    for batch in history.split_inclusive(|received| received.ends_batch) {
        let events: Vec<_> = batch.iter().filter_map(|received| received.test_record(case)).collect();
        let mut batch = records(epoch, offset, &events);
        batch.iter_mut().for_each(|record| record.partition = partition);
        runner.apply(batch).await.unwrap().unwrap();
        offset += events.len() as i64;
    }
}

/// What is parked of a case, and the inbox of its streams.
async fn state(pool: &PgPool, case: u32, first_offset: i64) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' ', stream, revision, \"offset\" - $2, verdict) from aqueduct.parked \
          where stream like 'account-' || $1 || '-%' \
         union all \
         select concat_ws(' ', stream, revision, blocked, event_revision, event_id) from aqueduct.inbox_streams \
          where stream like 'account-' || $1 || '-%' order by 1",
    )
    .bind(case.to_string())
    .bind(first_offset)
    .fetch_all(pool)
    .await
    .unwrap()
}
