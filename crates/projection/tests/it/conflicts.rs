//! Two events under one revision of a stream, as after a restore of the store: guarantee 7.

use std::sync::Arc;

use aqueduct_projection::{Outcome, Projection, parked};

use crate::bank::{deposited, opened};
use crate::parked::{INBOX, PARKED, ROWS, TOO_MUCH, accounts, apply, execute_all, fix, stream};
use crate::reactors::{Clerk, ClerkReactor};
use crate::support::{Database, TestRecord, event, plain, records};

fn deposit(revision: i64, amount: i64, id: &str) -> TestRecord {
    let more = vec![("ce_eventid", id.to_owned())];
    // Other producers know no position.
    TestRecord { more, without: Some("ce_position"), ..event("account-1", revision, &deposited(amount)) }
}

#[tokio::test]
async fn another_event_under_the_latest_revision_is_parked_alone() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    // By one statement, which stores the id.
    apply(&accounts, 0, &[deposit(0, 1, "a"), deposit(1, 2, "b")]).await;
    let batch = [deposit(1, 50, "other"), deposit(1, 2, "b"), deposit(2, 3, "c")];
    let outcome = accounts.0.apply(records(accounts.1, 2, &batch)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, duplicates: 1, parked: 1, ..Outcome::default() }));
    assert_eq!(database.texts(ROWS).await, ["1: 6 after 0 1 2 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
    let reason = "select verdict || ' ' || code || ': ' || reason from aqueduct.parked";
    let expected =
        "conflict conflict: bank.0/0@2: another event came before it under revision 1 of the stream";
    assert_eq!(database.texts(reason).await, [expected]);

    // Delivered again, and replayed: it stays parked, and the stream continues.
    let outcome = accounts.0.apply(records(accounts.1, 2, &batch)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { duplicates: 3, ..Outcome::default() }));
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    apply(&accounts, 5, &[deposit(3, 4, "d")]).await;
    assert_eq!(database.texts(PARKED).await, ["1@account-1 parked conflict"]);
    assert_eq!(database.texts(ROWS).await, ["1: 10 after 0 1 2 3 "]);
}

/// The first one may be parked, too: in the same batch or in one before, for a fault of its own or because its stream is blocked.
#[tokio::test]
async fn another_event_under_a_parked_revision_is_parked_alone() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let without_id = |revision, amount| event("account-1", revision, &deposited(amount));
    let batch = [
        deposit(0, 1, "a"),
        deposit(1, TOO_MUCH, "b"),
        deposit(1, 50, "other"),
        deposit(1, TOO_MUCH, "b"),
        deposit(2, 3, "c"),
        without_id(2, 3),
        without_id(3, 4),
    ];
    let outcome = accounts.0.apply(records(accounts.1, 0, &batch)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, parked: 4, duplicates: 2, ..Outcome::default() }));
    let more = [deposit(2, 60, "another"), deposit(2, 3, "c"), deposit(1, 70, "third"), deposit(3, 4, "d")];
    let outcome = accounts.0.apply(records(accounts.1, 7, &more)).await.unwrap();
    assert_eq!(outcome, Some(Outcome { parked: 2, duplicates: 2, ..Outcome::default() }));
    let conflicts =
        ["1@account-1 parked conflict", "1@account-1 parked conflict", "2@account-1 parked conflict"];
    let first = ["1@account-1 parked row", "2@account-1 parked blocked", "3@account-1 parked blocked"];
    assert_eq!(
        database.texts(PARKED).await,
        [first[0], conflicts[0], conflicts[1], first[1], conflicts[2], first[2]]
    );

    fix(&database).await;
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(ROWS).await, ["1: 1000008 after 0 1 2 3 "]);
    assert_eq!(database.texts(INBOX).await, ["account-1 3 false"]);
    assert_eq!(database.texts(PARKED).await, conflicts);
}

/// The ids come from the parked records.
#[tokio::test]
async fn a_replayed_event_is_known_by_its_id() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    apply(&accounts, 0, &[deposit(0, 1, "a"), deposit(1, TOO_MUCH, "b"), deposit(2, 3, "c")]).await;
    fix(&database).await;
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();
    execute_all(&accounts).await;
    assert_eq!(database.texts(INBOX).await, ["account-1 2 false"]);
    apply(&accounts, 3, &[deposit(2, 50, "other"), deposit(2, 3, "c")]).await;
    assert_eq!(database.texts(PARKED).await, ["2@account-1 parked conflict"]);
}

#[tokio::test]
async fn a_reactor_does_not_react_to_another_event_under_the_latest_revision() {
    let database = Database::create().await;
    let clerk = Arc::new(Clerk::default());
    let projection = Projection::reactor(database.options(), plain(), ClerkReactor(Arc::clone(&clerk)));
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let first =
        TestRecord { more: vec![("ce_eventid", "a".to_owned())], ..event("account-1", 0, &opened("Rome")) };
    batches.apply(records(epoch, 0, &[first])).await.unwrap();
    let outcome = batches.apply(records(epoch, 1, &[deposit(0, 7, "other")])).await.unwrap();
    assert_eq!(outcome, Some(Outcome { parked: 1, ..Outcome::default() }));
    assert_eq!(clerk.seen("account-1"), ["0@account-1"]);
}
