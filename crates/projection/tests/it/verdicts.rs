//! The inbox applies consecutive records in one step and checks others one by one: both have the same result, and store the
//! same.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;

use crate::inbox::{Row, receive_as};
use crate::support::Database;

const STREAMS: [&str; 3] = ["a", "b", "c"];

/// What is wrong with a record, if anything.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Nothing,
    Invalid,
    NoRevision,
    /// Its previous revision is not known.
    NoPrevious,
    /// One record of its stream before it is missing.
    Gap,
    /// The stream's previous record is delivered again.
    Again,
    /// Another event has the revision of the stream's previous record.
    Another,
    /// The id of its event is not known.
    NoId,
}

/// The ids of a stream's events, in turn: those of two that follow each other differ.
const IDS: [&str; 3] = ["x", "y", "z"];

fn record() -> impl Strategy<Value = (usize, Fault)> {
    let fault = prop_oneof![
        40 => Just(Fault::Nothing),
        1 => Just(Fault::Invalid),
        1 => Just(Fault::NoRevision),
        1 => Just(Fault::NoPrevious),
        1 => Just(Fault::Gap),
        1 => Just(Fault::Again),
        2 => Just(Fault::Another),
        2 => Just(Fault::NoId),
    ];
    (0..STREAMS.len(), fault)
}

/// The records of several calls.
fn calls() -> impl Strategy<Value = Vec<Vec<(usize, Fault)>>> {
    prop::collection::vec(prop::collection::vec(record(), 0..8), 1..6)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_step_advance_returns_the_verdicts_of_the_check() {
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
    let (fast, slow) = (format!("fast {case}"), format!("slow {case}"));
    let mut revisions = [-1; STREAMS.len()];
    for call in calls {
        let rows: Vec<_> = call.iter().map(|(stream, fault)| row(*stream, *fault, &mut revisions)).collect();
        let ids: Vec<_> = call.iter().zip(&rows).map(|((_, fault), row)| id(*fault, row)).collect();
        let verdicts = receive_as(pool, &fast, &rows, &ids).await;
        // An invalid record of another stream at the end, so that every record is checked.
        let mut checked = rows.clone();
        checked.push(("invalid", Some(0), Some(-1), true));
        let mut expected = receive_as(pool, &slow, &checked, &ids).await;
        expected.pop();
        assert_eq!(verdicts, expected, "{rows:?} {ids:?}");
        assert_eq!(state(pool, &fast).await, state(pool, &slow).await, "{rows:?} {ids:?}");
    }
}

fn row(stream: usize, fault: Fault, revisions: &mut [i64; STREAMS.len()]) -> Row<'static> {
    let previous = revisions[stream];
    let next = match fault {
        Fault::Again | Fault::Another => previous,
        Fault::Gap => previous + 2,
        _ => previous + 1,
    };
    revisions[stream] = next;
    let name = STREAMS[stream];
    match fault {
        Fault::NoRevision => (name, None, Some(previous), false),
        Fault::NoPrevious => (name, Some(next), None, false),
        Fault::Gap => (name, Some(next), Some(next - 1), false),
        Fault::Invalid => (name, Some(next), Some(previous), true),
        Fault::Nothing | Fault::Again | Fault::Another | Fault::NoId => {
            (name, Some(next), Some(previous), false)
        }
    }
}

fn id(fault: Fault, (_, revision, ..): &Row<'_>) -> Option<&'static str> {
    match fault {
        Fault::NoId => None,
        Fault::Another => Some("another"),
        _ => revision.and_then(|revision| IDS.get(usize::try_from(revision).ok()? % IDS.len()).copied()),
    }
}

async fn state(pool: &PgPool, projection: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' ', s.stream, s.revision, s.blocked, s.event_revision, s.event_id) \
           from aqueduct.inbox_streams s join aqueduct.inboxes i using (inbox) \
          where i.projection = $1 and s.stream <> 'invalid' order by 1",
    )
    .bind(projection)
    .fetch_all(pool)
    .await
    .unwrap()
}
