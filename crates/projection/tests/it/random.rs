//! Whatever is delivered again, in whatever batches and by whatever instance: each event is applied once and in
//! order.

use std::sync::atomic::{AtomicI32, Ordering};

use aqueduct_projection::{BatchProcessor, Claim, Projection};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::bank::{Accounts, deposited};
use crate::support::{Database, event, plain, records};

const STREAMS: usize = 4;

/// What happens to a partition.
#[derive(Debug, Clone)]
enum Step {
    /// The next event of a stream is written.
    Write(usize),
    /// A batch of this many records is delivered and committed.
    Deliver(usize),
    /// Delivery is moved back by this many records.
    Back(usize),
    /// Another instance takes over.
    Claim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..STREAMS).prop_map(Step::Write),
        3 => (1_usize..6).prop_map(Step::Deliver),
        1 => (1_usize..8).prop_map(Step::Back),
        1 => Just(Step::Claim),
    ]
}

/// Guarantees 2 and 3: records are delivered in any order of batches, again and by two instances.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_applied_once_and_in_order_however_it_is_delivered() {
    let database = Database::create().await;
    let mut config = ProptestConfig::with_cases(200);
    config.failure_persistence = None;
    let mut runner = TestRunner::new(config);
    let handle = tokio::runtime::Handle::current();
    let start = async || {
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap()
    };
    let instances = [start().await, start().await];
    // Each case has a partition and streams of its own.
    let cases = AtomicI32::new(0);
    let run = |steps: Vec<Step>| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        tokio::task::block_in_place(|| handle.block_on(play(&database, &instances, case, &steps)));
        Ok(())
    };
    if let Err(failure) = runner.run(&proptest::collection::vec(step(), 1..60), run) {
        panic!("{failure}");
    }
}

async fn play(database: &Database, instances: &[BatchProcessor; 2], case: i32, steps: &[Step]) {
    let claim = async |owner: usize| {
        let Claim { epoch, resume_at } = instances[owner].claim("bank.0", case).await.unwrap();
        (owner, epoch, resume_at.unwrap_or(0) as usize)
    };
    let (mut owner, mut epoch, mut at) = claim(0).await;
    let mut log = Vec::new();
    let mut revisions = [0_i64; STREAMS];
    let finish = [Step::Deliver(usize::MAX)];
    for step in steps.iter().chain(&finish) {
        match step {
            Step::Write(stream) => {
                let name = format!("account-{case}/{stream}");
                log.push(event(&name, revisions[*stream], &deposited(log.len() as i64)));
                revisions[*stream] += 1;
            }
            Step::Deliver(count) => {
                let end = at.saturating_add(*count).min(log.len());
                if end > at {
                    let mut batch = records(epoch, at as i64, &log[at..end]);
                    batch.iter_mut().for_each(|record| record.partition = case);
                    assert!(instances[owner].apply(batch).await.unwrap().is_some());
                    at = end;
                }
            }
            Step::Back(count) => at = at.saturating_sub(*count),
            Step::Claim => (owner, epoch, at) = claim(1 - owner).await,
        }
    }
    for (stream, events) in revisions.iter().enumerate() {
        let row: Option<(String, String)> =
            sqlx::query_as("select balance::text, \"order\" from bank.accounts where id = $1")
                .bind(format!("{case}/{stream}"))
                .fetch_optional(&database.pool)
                .await
                .unwrap();
        let name = format!("account-{case}/{stream}");
        let amounts =
            log.iter().enumerate().filter(|(_, record)| record.stream == name).map(|(amount, _)| amount);
        let order: String = (0..*events).map(|revision| format!("{revision} ")).collect();
        let expected = (*events > 0).then(|| (amounts.sum::<usize>().to_string(), order));
        assert_eq!(row, expected, "account {stream}");
    }
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
}
