//! BatchProcessor through inbox, fold and transaction, without Kafka.

use aqueduct_projection::{BatchProcessor, Outcome, Projection, ProjectionError};
use serde_json::json;

use crate::bank::{Accounts, Branches, Closed, deposited, opened};
use crate::support::{Database, TestRecord, event, plain, records};

async fn accounts(database: &Database) -> (BatchProcessor, i64) {
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    (batches, epoch)
}

/// Applies events as one batch of records with consecutive offsets.
async fn apply(accounts: &(BatchProcessor, i64), first_offset: i64, events: &[TestRecord]) -> Outcome {
    accounts.0.apply(records(accounts.1, first_offset, events)).await.unwrap().unwrap()
}

const ROWS: &str = "select id || ': ' || balance || ' after ' || \"order\" from bank.accounts order by 1";
const PARKED: &str = "select stream || '@' || coalesce(revision::text, '?') || ' ' || verdict \
                      from aqueduct.parked order by stream, revision, id";

#[tokio::test]
async fn a_batch_inserts_updates_and_deletes_rows() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 1, &deposited(9_007_199_254)),
        event("account-3", 0, &opened("Oslo")),
        event("account-3", 1, &Closed {}.into()),
    ];
    // The balance is out of range: nothing else may be lost with it.
    let outcome = apply(&accounts, 0, &events).await;
    assert_eq!(outcome, Outcome { applied: 4, parked: 1, ..Outcome::default() });
    let outcome =
        apply(&accounts, 5, &[event("account-2", 1, &deposited(5)), event("account-2", 2, &deposited(-2))])
            .await;
    assert_eq!(outcome.applied, 2);
    assert_eq!(database.texts(ROWS).await, ["1: 0 after 0 ", "2: 3 after 0 1 2 "]);

    let outcome = apply(&accounts, 7, &[event("account-2", 3, &Closed {}.into())]).await;
    assert_eq!(outcome.applied, 1);
    assert_eq!(database.texts(ROWS).await, ["1: 0 after 0 "]);
    assert_eq!(database.number("select next_offset from aqueduct.offsets").await, 8);
}

/// Guarantee 2: records are delivered again, in the same batch and in later ones.
#[tokio::test]
async fn redelivered_records_are_dropped() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let (open, first) = (event("account-1", 0, &opened("Paris")), event("account-1", 1, &deposited(5)));
    let outcome = apply(&accounts, 0, &[open.clone(), first.clone(), first.clone(), open.clone()]).await;
    assert_eq!(outcome, Outcome { applied: 2, duplicates: 2, ..Outcome::default() });
    let outcome = apply(&accounts, 0, &[open, first, event("account-1", 2, &deposited(6))]).await;
    assert_eq!(outcome, Outcome { applied: 1, duplicates: 2, ..Outcome::default() });
    assert_eq!(database.texts(ROWS).await, ["1: 11 after 0 1 2 "]);
}

/// Guarantees 4 and 6: an event is missing.
#[tokio::test]
async fn a_gap_parks_its_stream_and_the_others_continue() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-1", 2, &deposited(5)),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 3, &deposited(6)),
    ];
    let outcome = apply(&accounts, 0, &events).await;
    assert_eq!(outcome, Outcome { applied: 2, gaps: 1, parked: 2, ..Outcome::default() });
    // The parked event again, the missing one, and a later one.
    let again =
        [events[1].clone(), event("account-1", 1, &deposited(4)), event("account-1", 4, &deposited(7))];
    let outcome = apply(&accounts, 4, &again).await;
    assert_eq!(outcome, Outcome { parked: 2, duplicates: 1, ..Outcome::default() });
    assert_eq!(
        database.texts(PARKED).await,
        ["account-1@1 blocked", "account-1@2 gap", "account-1@3 blocked", "account-1@4 blocked"]
    );
    assert_eq!(database.texts(ROWS).await, ["1: 0 after 0 ", "2: 0 after 0 "]);
    let reason = database.texts("select reason from aqueduct.parked where verdict = 'gap'").await;
    assert_eq!(reason, ["bank.0/0@1: gap: revision 1, which precedes it, is not the last applied one"]);
}

/// Guarantees 6 and 7: every way in which a record can be bad.
#[tokio::test]
async fn bad_records_are_parked_with_their_followers() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let good = |stream| event(stream, 0, &opened("Paris"));
    let unknown = TestRecord { event_type: "Renamed".to_owned(), ..good("account-unknown") };
    let ignored = TestRecord { event_type: "Audited".to_owned(), ..good("account-ignored") };
    let misfit = TestRecord { payload: br#"{"branch": 7}"#.to_vec(), ..good("account-misfit") };
    let no_json = TestRecord { payload: b"\0\0".to_vec(), ..good("account-bytes") };
    let no_revision = TestRecord { without: Some("ce_revision"), ..good("account-bare") };
    let foreign = TestRecord {
        without: Some("ce_source"),
        more: vec![("ce_source", "elsewhere".to_owned())],
        ..good("account-far")
    };
    let panics = event("account-panic", 0, &deposited(666));
    let nul = event("account-nul", 0, &opened("a\0b"));
    let long = good(&"long".repeat(1000));
    let check = event("account-check", 0, &deposited(1_000_000));
    let events = [
        unknown,
        ignored,
        misfit,
        no_json,
        no_revision,
        foreign,
        panics,
        nul,
        long,
        check,
        event("account-bare", 1, &deposited(1)),
        event("account-unknown", 1, &deposited(1)),
        event("account-panic", 1, &deposited(1)),
        event("account-ignored", 1, &deposited(1)),
    ];
    let outcome = apply(&accounts, 0, &events).await;
    assert_eq!(outcome, Outcome { applied: 2, parked: 12, ..Outcome::default() });
    assert_eq!(database.texts(ROWS).await, ["ignored: 1 after 1 "]);
    let reasons = database
        .texts(
            "select stream || ': ' || reason from aqueduct.parked where verdict = 'invalid' order by stream",
        )
        .await;
    for (reason, expected) in reasons.iter().zip([
        "account-bare: bank.0/0@4: header ce_revision is missing",
        "account-bytes: bank.0/0@3: the payload is not an event of type Opened: expected value at line 1",
        "account-check: bank.0/0@9: reading or writing the rows failed: error returned from database: new row for",
        "account-far: bank.0/0@5: the record comes from source \"elsewhere\", this projection reads \"aqueduct/eventstore\"",
        "account-misfit: bank.0/0@2: the payload is not an event of type Opened: invalid type: integer `7`, expected a string",
        "account-nul: bank.0/0@7: reading or writing the rows failed: error returned from database: unsupported Unicode",
        "account-panic: bank.0/0@6: the projection's code panicked: assertion `left != right` failed: on purpose",
        "account-unknown: bank.0/0@0: event type Renamed is unknown to projection accounts",
    ]) {
        assert!(reason.starts_with(expected), "{reason}\nis not\n{expected}");
    }
    assert_eq!(reasons.len(), 9);
    assert!(reasons[8].contains("bank.0/0@8: header ce_id is \"0@longlong"), "{}", reasons[8]);
    // A record without a place is known by its offset.
    let again = apply(&accounts, 4, &events[4..5]).await;
    assert_eq!(again, Outcome { duplicates: 1, ..Outcome::default() });
}

/// Guarantee 3: followers of a parked event are delivered in several batches and twice.
#[tokio::test]
async fn parked_events_are_stored_completely_and_in_order() {
    let database = Database::create().await;
    let accounts = accounts(&database).await;
    let bad = TestRecord {
        payload: vec![0xff, 0x00],
        more: vec![("traceparent", "00-aa".to_owned())],
        ..event("account-1", 0, &opened("x"))
    };
    let follower = |revision| event("account-1", revision, &deposited(revision));
    apply(&accounts, 0, &[bad, follower(1)]).await;
    apply(&accounts, 1, &[follower(1), follower(2)]).await;
    apply(&accounts, 3, &[follower(3), follower(2)]).await;
    assert_eq!(
        database.texts(PARKED).await,
        ["account-1@0 invalid", "account-1@1 blocked", "account-1@2 blocked", "account-1@3 blocked"]
    );
    let (payload, key, headers): (Vec<u8>, Vec<u8>, serde_json::Value) =
        sqlx::query_as("select payload, key, headers from aqueduct.parked order by id limit 1")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((payload, key), (vec![0xff, 0x00], b"account-1".to_vec()));
    let headers = headers.as_array().unwrap();
    assert_eq!(headers[0], json!({ "name": "ce_specversion", "value": "1.0" }));
    assert_eq!(headers.last().unwrap(), &json!({ "name": "traceparent", "value": "00-aa" }));
}

/// Guarantee 2: an instance that was considered dead finishes its batch after another one has claimed its
/// partition.
#[tokio::test]
async fn an_owner_that_lost_its_partition_commits_nothing() {
    let database = Database::create().await;
    let (stalled, successor) = (accounts(&database).await, accounts(&database).await);
    assert!(stalled.1 < successor.1);
    let events = [event("account-1", 0, &opened("Paris")), event("account-1", 1, &deposited(5))];
    assert_eq!(stalled.0.apply(records(stalled.1, 0, &events)).await.unwrap(), None);
    assert_eq!(database.texts(ROWS).await, Vec::<String>::new());
    apply(&successor, 0, &events).await;
    // Records read under an earlier epoch of the same owner are not applied either.
    let old = records(successor.1 - 1, 2, &[event("account-1", 2, &deposited(5))]);
    assert_eq!(successor.0.apply(old).await.unwrap(), None);
    assert_eq!(database.texts(ROWS).await, ["1: 5 after 0 1 "]);
}

/// Guarantee 2: instances add to the same rows concurrently.
#[tokio::test]
async fn concurrent_instances_lose_no_deltas() {
    let database = Database::create().await;
    let mut instances = tokio::task::JoinSet::new();
    for partition in 0..4 {
        let batches =
            Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
        instances.spawn(async move {
            let epoch = batches.claim("bank.0", partition).await.unwrap().epoch;
            for batch in 0..20 {
                let deposit = |n: i64| {
                    let branch = ["paris", "rome", "oslo"][n as usize % 3];
                    event(&format!("account-{branch}-{partition}"), batch * 10 + n / 3, &deposited(n))
                };
                let events: Vec<_> = (0..30).map(deposit).collect();
                let mut records = records(epoch, batch * 30, &events);
                records.iter_mut().for_each(|record| record.partition = partition);
                let outcome = batches.apply(records).await.unwrap().unwrap();
                assert_eq!(outcome.applied, 30);
            }
        });
    }
    while let Some(ended) = instances.join_next().await {
        ended.unwrap();
    }
    let sums = database
        .texts("select branch || ' ' || deposits || ' ' || amount from bank.branches order by 1")
        .await;
    // Per batch 10 deposits a branch; amounts 0, 3, … 27 are 135 for the first, 10 and 20 more for the others.
    assert_eq!(sums, ["oslo 800 12400", "paris 800 10800", "rome 800 11600"]);
}

/// Guarantee 7: a text would be truncated, a sum does not fit.
#[tokio::test]
async fn a_delta_that_does_not_fit_its_columns_is_parked() {
    let database = Database::create().await;
    let narrow = "alter table bank.branches alter branch type varchar(4), alter amount type numeric(3)";
    sqlx::raw_sql(narrow).execute(&database.pool).await.unwrap();
    let batches =
        Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let events = [
        event("account-paris", 0, &deposited(1)),
        event("account-rome", 0, &deposited(2)),
        event("account-oslo", 0, &deposited(1000)),
    ];
    let outcome = batches.apply(records(epoch, 0, &events)).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome { applied: 1, parked: 2, ..Outcome::default() });
    let sums = database.texts("select branch || ' ' || deposits || ' ' || amount from bank.branches").await;
    assert_eq!(sums, ["rome 1 2"]);
}

#[tokio::test]
async fn a_definition_that_does_not_match_its_table_is_rejected() {
    let database = Database::create().await;
    let start = async || Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await;
    sqlx::raw_sql("alter table bank.accounts rename branch to office").execute(&database.pool).await.unwrap();
    let batches = start().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let rejected =
        batches.apply(records(epoch, 0, &[event("account-1", 0, &opened("Paris"))])).await.unwrap_err();
    let reason = std::error::Error::source(&rejected).unwrap().to_string();
    assert_eq!(
        reason,
        "projection accounts: table bank.accounts has no column \"branch\" that the projection can write; \
         add it, or remove it from the row"
    );
    sqlx::raw_sql("drop table bank.accounts").execute(&database.pool).await.unwrap();
    let rejected = start().await.err().unwrap();
    assert!(matches!(rejected, ProjectionError::Table(_)), "{rejected}");
    assert!(rejected.to_string().contains("table bank.accounts does not exist"), "{rejected}");
}
