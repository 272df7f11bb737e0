//! The inbox takes in one step what follows and judges the rest: both ways give the same.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;

use crate::inbox::{Row, receive_as};
use crate::world::Database;

const STREAMS: [&str; 3] = ["a", "b", "c"];

/// What is wrong with a record, if anything.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Nothing,
    Faulty,
    NoRevision,
    /// It does not say what came before it.
    NoPrevious,
    /// One record of its stream before it is left out.
    Gap,
    /// The stream's record before it comes again.
    Again,
    /// It is a further part of the event before it.
    Part,
}

fn record() -> impl Strategy<Value = (usize, Fault)> {
    let fault = prop_oneof![
        40 => Just(Fault::Nothing),
        3 => Just(Fault::Part),
        1 => Just(Fault::Faulty),
        1 => Just(Fault::NoRevision),
        1 => Just(Fault::NoPrevious),
        1 => Just(Fault::Gap),
        1 => Just(Fault::Again),
    ];
    (0..STREAMS.len(), fault)
}

/// The records of several calls.
fn calls() -> impl Strategy<Value = Vec<Vec<(usize, Fault)>>> {
    prop::collection::vec(prop::collection::vec(record(), 0..8), 1..6)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_at_once_is_what_judging_says() {
    let database = Database::create().await;
    let mut config = ProptestConfig::with_cases(300);
    config.failure_persistence = None;
    let handle = tokio::runtime::Handle::current();
    let case = std::sync::atomic::AtomicU32::new(0);
    let run = |calls: Vec<Vec<(usize, Fault)>>| {
        let case = case.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::task::block_in_place(|| handle.block_on(compare(&database.pool, case, &calls)));
        Ok(())
    };
    if let Err(failure) = TestRunner::new(config).run(&calls(), run) {
        panic!("{failure}");
    }
}

async fn compare(pool: &PgPool, case: u32, calls: &[Vec<(usize, Fault)>]) {
    let (short, long) = (format!("short {case}"), format!("long {case}"));
    let mut places = [(-1, 0); STREAMS.len()];
    for call in calls {
        let rows: Vec<_> = call.iter().map(|(stream, fault)| row(*stream, *fault, &mut places)).collect();
        let verdicts = receive_as(pool, &short, &rows).await;
        // A faulty record of another stream at the end, so that every record is judged.
        let mut judged = rows.clone();
        judged.push(("faulty", Some(0), 0, Some(-1), 0, true));
        let mut expected = receive_as(pool, &long, &judged).await;
        expected.pop();
        assert_eq!(verdicts, expected, "{rows:?}");
        assert_eq!(state(pool, &short).await, state(pool, &long).await, "{rows:?}");
    }
}

fn row(stream: usize, fault: Fault, places: &mut [(i64, i32); STREAMS.len()]) -> Row<'static> {
    let previous = places[stream];
    let next = match fault {
        Fault::Again => previous,
        Fault::Gap => (previous.0 + 2, 0),
        Fault::Part => (previous.0.max(0), previous.1 + 1),
        _ => (previous.0 + 1, 0),
    };
    places[stream] = next;
    let name = STREAMS[stream];
    match fault {
        Fault::NoRevision => (name, None, next.1, Some(previous.0), previous.1, false),
        Fault::NoPrevious => (name, Some(next.0), next.1, None, 0, false),
        Fault::Gap => (name, Some(next.0), next.1, Some(next.0 - 1), 0, false),
        Fault::Faulty => (name, Some(next.0), next.1, Some(previous.0), previous.1, true),
        Fault::Nothing | Fault::Part | Fault::Again => {
            (name, Some(next.0), next.1, Some(previous.0), previous.1, false)
        }
    }
}

async fn state(pool: &PgPool, projection: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select stream || ' ' || revision || '.' || subindex || ' ' || held from aqueduct.inbox \
         where projection = $1 and stream <> 'faulty' order by 1",
    )
    .bind(projection)
    .fetch_all(pool)
    .await
    .unwrap()
}
