//! Whatever is delivered again, in whatever batches and by whatever instance: the state is that of once and in
//! order.

use aqueduct_projection::Projection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::bank::{Accounts, deposited};
use crate::world::{Database, event, plain, records};

const STREAMS: usize = 4;

/// What happens to a partition.
#[derive(Debug, Clone)]
enum Step {
    /// The next event of a stream is written.
    Write(usize),
    /// A batch of this many records is delivered and committed.
    Deliver(usize),
    /// Delivery goes back by this many records.
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

/// Attacks promises 2 and 3, nothing is doubled and order holds.
#[tokio::test(flavor = "multi_thread")]
async fn any_deliveries_give_the_state_of_once_in_order() {
    let database = Database::create().await;
    let mut config = ProptestConfig::with_cases(60);
    config.failure_persistence = None;
    let mut runner = TestRunner::new(config);
    let handle = tokio::runtime::Handle::current();
    let run = |steps: Vec<Step>| {
        tokio::task::block_in_place(|| handle.block_on(play(&database, &steps)));
        Ok(())
    };
    if let Err(failure) = runner.run(&proptest::collection::vec(step(), 1..60), run) {
        panic!("{failure}");
    }
}

async fn play(database: &Database, steps: &[Step]) {
    sqlx::raw_sql(
        "truncate bank.accounts, aqueduct.inboxes, aqueduct.inbox_streams, aqueduct.offsets, aqueduct.parked",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let start = || async {
        let batches = Projection::view::<Accounts<0>>(database.options(), plain()).batches().await.unwrap();
        let (epoch, next) = batches.claim("bank.0", 0).await.unwrap();
        (batches, epoch, next.unwrap_or(0) as usize)
    };
    let (mut batches, mut epoch, mut at) = start().await;
    let mut log = Vec::new();
    let mut revisions = [0_i64; STREAMS];
    let finish = [Step::Deliver(usize::MAX)];
    for step in steps.iter().chain(&finish) {
        match step {
            Step::Write(stream) => {
                let name = format!("account-{stream}");
                log.push(event(&name, revisions[*stream], &deposited(log.len() as i64)));
                revisions[*stream] += 1;
            }
            Step::Deliver(count) => {
                let end = at.saturating_add(*count).min(log.len());
                if end > at {
                    let outcome = batches.apply(records(epoch, at as i64, &log[at..end])).await.unwrap();
                    assert!(outcome.is_some());
                    at = end;
                }
            }
            Step::Back(count) => at = at.saturating_sub(*count),
            Step::Claim => (batches, epoch, at) = start().await,
        }
    }
    for (stream, events) in revisions.iter().enumerate() {
        let row: Option<(String, String)> =
            sqlx::query_as("select balance::text, \"order\" from bank.accounts where id = $1")
                .bind(stream.to_string())
                .fetch_optional(&database.pool)
                .await
                .unwrap();
        let name = format!("account-{stream}");
        let amounts =
            log.iter().enumerate().filter(|(_, made)| made.stream == name).map(|(amount, _)| amount);
        let order: String = (0..*events).map(|revision| format!("{revision} ")).collect();
        let expected = (*events > 0).then(|| (amounts.sum::<usize>().to_string(), order));
        assert_eq!(row, expected, "account {stream}");
    }
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
}
