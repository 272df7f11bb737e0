//! Sessions that the server ends when their client is frozen.

use std::time::{Duration, Instant};

use aqueduct_projection::{Options, PostgresOptions, Projection};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::bank::{Accounts, deposited};
use crate::support::{Database, Running, Topic, event, plain, stack, wait_for_status};

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// The owner of a partition freezes with its transaction open. The next owner waits no longer than the timeout, and
/// reports that it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_delays_the_next_one_until_the_session_timeout() {
    let database = Database::create().await;
    let topic = Topic::create("bank.0", 1).await;
    topic.write(&[event("account-1", 0, &deposited(1))]).await;

    // As the frozen owner left it: its partition is locked by a batch that does not end.
    let frozen = PostgresOptions::new(&database.url).session("frozen", SESSION_TIMEOUT).unwrap();
    let mut frozen = frozen.connect().await.unwrap();
    frozen
        .execute(
            "select aqueduct.offsets_claim('accounts', 1, 'bank.0', 0, 'frozen'); begin; \
             select aqueduct.offsets_advance('accounts', 1, '{bank.0}', '{0}', '{1}', '{1}')",
        )
        .await
        .unwrap();
    let frozen_at = Instant::now();

    let options = Options {
        session_timeout_ms: 6000,
        ..database.options_on(stack().kafka_bootstrap().unwrap(), "frozen")
    };
    let projection = Projection::view::<Accounts<0>>(options, plain());
    let status = projection.status();
    let running = Running::start(projection);
    let waits = |problem: Option<&str>| problem.is_some_and(|text| text.contains("waits for a transaction"));
    wait_for_status(status, "waiting for the frozen owner", waits).await;
    database.wait_for("select coalesce(sum(balance), 0)::bigint from bank.accounts", 1).await;
    let waited = frozen_at.elapsed();
    assert!(waited < SESSION_TIMEOUT + Duration::from_secs(5), "{waited:?}");
    assert!(frozen.execute("select 1").await.is_err(), "the frozen session still exists");
    running.stop().await;
}
