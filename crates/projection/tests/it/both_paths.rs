//! Whether a batch is written by one statement or by a transaction, the result is the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

use aqueduct_projection::{BatchProcessor, Claim, Projection};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::bank::{Accounts, Branches, Closed, deposited, opened};
use crate::sql;
use crate::support::{Database, TestRecord, event, forbid_single_statements, plain, records};

const STREAMS: usize = 4;

/// What a record contains.
#[derive(Debug, Clone, Copy)]
enum Content {
    Opened,
    Deposited(i64),
    Closed,
    /// The projection ignores the type.
    Audited,
    Unreadable,
}

/// What a record says of the one before it.
#[derive(Debug, Clone, Copy)]
enum Predecessor {
    Known,
    Unknown,
    /// It names one that never came.
    Missing,
}

#[derive(Debug, Clone)]
enum Step {
    /// A record of a stream is written.
    Write(usize, Content, Predecessor),
    /// Another event is written under the stream's latest revision.
    Another(usize),
    /// A batch of this many records is delivered.
    Deliver(usize),
    /// Delivery is moved back by this many records.
    Back(usize),
    /// The row of a stream is changed by hand.
    Edit(usize),
    /// The partition is claimed again.
    Claim,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => Just(Content::Opened),
        20 => (-50_i64..50).prop_map(Content::Deposited),
        2 => Just(Content::Closed),
        2 => Just(Content::Audited),
        1 => Just(Content::Unreadable),
        // The fold panics.
        1 => Just(Content::Deposited(666)),
        // More than an account may have.
        1 => Just(Content::Deposited(1_000_000)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let predecessor = prop_oneof![
        30 => Just(Predecessor::Known),
        1 => Just(Predecessor::Unknown),
        1 => Just(Predecessor::Missing),
    ];
    prop_oneof![
        12 => (0..STREAMS, content(), predecessor).prop_map(|(stream, content, before)| Step::Write(stream, content, before)),
        1 => (0..STREAMS).prop_map(Step::Another),
        4 => (1_usize..12).prop_map(Step::Deliver),
        1 => (1_usize..8).prop_map(Step::Back),
        1 => (0..STREAMS).prop_map(Step::Edit),
        1 => Just(Step::Claim),
    ]
}

/// The accounts as SQL files. A deposit may come first here.
const SQL_FILES: &[(&str, &str)] = &[
    (
        "projection.toml",
        "name = \"sql_accounts\"\ntopics = [\"bank.0\"]\nignored = [\"Audited\"]\n[types]\n\
         Opened = [\"opened.sql\"]\nDeposited = [\"deposited.sql\"]\nClosed = [\"closed.sql\"]",
    ),
    (
        "opened.sql",
        "insert into bank.sql_accounts as a (id, branch, balance, \"order\")
         select substring(e.stream from 9), e.data->>'branch', 0, e.revision || ' ' from $events e
             on conflict (id) do update set branch = excluded.branch, \"order\" = a.\"order\" || excluded.\"order\"",
    ),
    (
        "deposited.sql",
        "insert into bank.sql_accounts as a (id, balance, \"order\")
         select substring(e.stream from 9), (e.data->>'amount')::numeric, e.revision || ' ' from $events e
             on conflict (id) do update set balance = a.balance + excluded.balance, \"order\" = a.\"order\" || excluded.\"order\"",
    ),
    (
        "closed.sql",
        "-- rows: any\ndelete from bank.sql_accounts a using $events e where a.id = substring(e.stream from 9)",
    ),
];

/// A view, deltas and SQL files of one database.
struct Pipeline {
    database: Database,
    projections: [BatchProcessor; 3],
}

impl Pipeline {
    async fn start(files: &Path) -> Self {
        let database = Database::create().await;
        // A table that accepts the rows that it contains is not at fault for those that it rejects.
        let seed = "insert into bank.accounts (id, branch, balance, \"order\") values ('seed', '', 0, '')";
        sqlx::query(seed).execute(&database.pool).await.unwrap();
        let accounts =
            Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
        let branches =
            Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
        let table = "create table bank.sql_accounts (like bank.accounts including all)";
        sqlx::query(table).execute(&database.pool).await.unwrap();
        let sql_accounts = sql::start(&database, files).await.unwrap();
        Self { database, projections: [accounts, branches, sql_accounts] }
    }

    async fn claim(&self, partition: i32) -> [i64; 3] {
        let mut epochs = [0; 3];
        for (projection, current) in self.projections.iter().zip(&mut epochs) {
            let Claim { epoch, .. } = projection.claim("bank.0", partition).await.unwrap();
            *current = epoch;
        }
        epochs
    }

    async fn apply(&self, partition: i32, epochs: [i64; 3], at: usize, events: &[TestRecord]) {
        for (projection, epoch) in self.projections.iter().zip(epochs) {
            let mut batch = records(epoch, at as i64, events);
            batch.iter_mut().for_each(|record| record.partition = partition);
            assert!(projection.apply(batch).await.unwrap().is_some());
        }
    }

    async fn edit(&self, account: &str) {
        sqlx::query("update bank.accounts set balance = balance - 1000 where id = $1")
            .bind(account)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    /// Everything that was written for a case.
    async fn state(&self, case: i32) -> BTreeSet<String> {
        let mut state = BTreeSet::new();
        for query in [
            "select concat_ws(' ', id, branch, balance, \"order\") from bank.accounts where id like $1 || '-%'",
            "select concat_ws(' ', 'sql', id, branch, balance, \"order\") from bank.sql_accounts where id like $1 || '-%'",
            "select concat_ws(' ', day, branch, deposits, amount) from bank.branches where branch = $1",
            "select concat_ws(' ', i.projection, s.stream, s.revision, s.blocked, s.event_revision, s.event_id)
               from aqueduct.inbox_streams s join aqueduct.inboxes i using (inbox)
              where s.stream like 'account-' || $1 || '-%'",
            "select concat_ws(' ', projection, next_offset) from aqueduct.offsets where partition::text = $1",
            "select concat_ws(' ', projection, stream, revision, verdict, code, reason) from aqueduct.parked
              where stream like 'account-' || $1 || '-%'",
        ] {
            let rows =
                sqlx::query_scalar::<_, String>(query).bind(case.to_string()).fetch_all(&self.database.pool);
            state.extend(rows.await.unwrap());
        }
        state
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_and_a_transaction_have_the_same_result() {
    let files = tempfile::tempdir().unwrap();
    SQL_FILES.iter().for_each(|(file, text)| sql::write(files.path(), file, text));
    let pipelines = [Pipeline::start(files.path()).await, Pipeline::start(files.path()).await];
    forbid_single_statements(&pipelines[1].database).await;
    let mut config = ProptestConfig::with_cases(60);
    config.failure_persistence = None;
    let mut runner = TestRunner::new(config);
    let handle = tokio::runtime::Handle::current();
    let cases = AtomicI32::new(0);
    let run = |steps: Vec<Step>| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        tokio::task::block_in_place(|| {
            handle.block_on(async {
                for pipeline in &pipelines {
                    play(pipeline, case, &steps).await;
                }
                let (one, other) = (pipelines[0].state(case).await, pipelines[1].state(case).await);
                let differences: Vec<_> = one.symmetric_difference(&other).collect();
                assert!(differences.is_empty(), "{differences:#?}");
            });
        });
        Ok(())
    };
    if let Err(failure) = runner.run(&proptest::collection::vec(step(), 1..60), run) {
        panic!("{failure}");
    }
}

/// Each case has a partition and streams of its own.
async fn play(pipeline: &Pipeline, case: i32, steps: &[Step]) {
    let mut epochs = pipeline.claim(case).await;
    let (mut log, mut at) = (Vec::new(), 0_usize);
    let mut revisions = [0_i64; STREAMS];
    for step in steps.iter().chain(&[Step::Deliver(usize::MAX)]) {
        match step {
            Step::Write(stream, content, predecessor) => {
                log.push(record(
                    &format!("account-{case}-{stream}"),
                    &mut revisions[*stream],
                    *content,
                    *predecessor,
                ));
            }
            Step::Another(stream) => {
                let mut latest = (revisions[*stream] - 1).max(0);
                let mut another = record(
                    &format!("account-{case}-{stream}"),
                    &mut latest,
                    Content::Deposited(1),
                    Predecessor::Known,
                );
                another.more = vec![("ce_eventid", "another".to_owned())];
                log.push(another);
            }
            Step::Deliver(count) => {
                let end = at.saturating_add(*count).min(log.len());
                if end > at {
                    pipeline.apply(case, epochs, at, &log[at..end]).await;
                    at = end;
                }
            }
            Step::Back(count) => at = at.saturating_sub(*count),
            Step::Edit(stream) => pipeline.edit(&format!("{case}-{stream}")).await,
            Step::Claim => epochs = pipeline.claim(case).await,
        }
    }
}

/// The next record of a stream.
fn record(stream: &str, revision: &mut i64, content: Content, predecessor: Predecessor) -> TestRecord {
    if matches!(predecessor, Predecessor::Missing) {
        *revision += 1;
    }
    let data = match content {
        Content::Opened => opened("Paris"),
        Content::Deposited(amount) => deposited(amount),
        Content::Closed => Closed {}.into(),
        Content::Audited | Content::Unreadable => deposited(0),
    };
    let mut record = event(stream, *revision, &data);
    // Not all producers name it.
    if *revision % 5 != 4 {
        record.more.push(("ce_eventid", format!("{stream} {revision}")));
    }
    *revision += 1;
    match content {
        Content::Audited => "Audited".clone_into(&mut record.event_type),
        Content::Unreadable => record.payload = b"{".to_vec(),
        Content::Opened | Content::Deposited(_) | Content::Closed => {}
    }
    if matches!(predecessor, Predecessor::Unknown) {
        record.previous = None;
    }
    record
}
