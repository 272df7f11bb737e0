//! Tables that are changed under a running projection or query.

use aqueduct_projection::{BatchProcessor, PostgresOptions, Projection, ProjectionError, run_query};
use std::error::Error as _;
use std::time::Duration;

use crate::bank::{Accounts, Branches, deposited, opened};
use crate::support::{Database, event, plain, records};

async fn alter(database: &Database, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&database.pool).await.unwrap();
}

async fn accounts(database: &Database) -> (BatchProcessor, i64) {
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    (batches, epoch)
}

fn reason(error: &ProjectionError) -> String {
    error.source().unwrap().to_string()
}

/// A column with a default is added, and both a running and a new instance keep its values.
#[tokio::test]
async fn an_added_column_keeps_its_values() {
    let database = Database::create().await;
    let (running, epoch) = accounts(&database).await;
    let events = [event("account-1", 0, &opened("Paris")), event("account-2", 0, &opened("Rome"))];
    running.apply(records(epoch, 0, &events)).await.unwrap().unwrap();
    alter(&database, "alter table bank.accounts add column tier text not null default 'basic'").await;
    running.apply(records(epoch, 2, &[event("account-3", 0, &opened("Oslo"))])).await.unwrap().unwrap();
    alter(&database, "update bank.accounts set tier = 'gold' where id = '1'").await;

    let (new, epoch) = accounts(&database).await;
    let events = [event("account-1", 1, &deposited(5)), event("account-4", 0, &opened("Bonn"))];
    let outcome = new.apply(records(epoch, 3, &events)).await.unwrap().unwrap();
    assert_eq!((outcome.applied, outcome.parked), (2, 0));
    let rows =
        database.texts("select id || ' ' || balance || ' ' || tier from bank.accounts order by 1").await;
    assert_eq!(rows, ["1 5 gold", "2 0 basic", "3 0 basic", "4 0 basic"]);
}

/// A required column that no row has fails for every row: the table is at fault, and nothing is parked.
#[tokio::test]
async fn an_added_required_column_halts_and_parks_nothing() {
    let database = Database::create().await;
    alter(&database, "alter table bank.accounts add column tier text not null").await;
    alter(&database, "alter table bank.branches add column tier text not null").await;
    let (accounts, epoch) = accounts(&database).await;
    let batch = records(epoch, 0, &[event("account-1", 0, &opened("Paris"))]);
    let error = accounts.apply(batch.clone()).await.unwrap_err();
    assert!(
        reason(&error).contains("table bank.accounts requires a value in column \"tier\""),
        "{}",
        reason(&error)
    );
    let branches =
        Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = branches.claim("bank.0", 0).await.unwrap().epoch;
    let error = branches.apply(records(epoch, 0, &[event("account-1", 0, &deposited(1))])).await.unwrap_err();
    assert!(
        reason(&error).contains("table bank.branches requires a value in column \"tier\""),
        "{}",
        reason(&error)
    );
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);

    // Once the column has a default, the same events are applied.
    alter(&database, "alter table bank.accounts alter column tier set default 'basic'").await;
    assert_eq!(accounts.apply(batch).await.unwrap().unwrap().applied, 1);
}

/// A type that no row fits fails for every row.
#[tokio::test]
async fn consecutive_streams_rejected_for_one_reason_halt() {
    let database = Database::create().await;
    alter(&database, "alter table bank.accounts add constraint closed check (false)").await;
    let (accounts, epoch) = accounts(&database).await;
    let events = ["account-1", "account-2", "account-3"].map(|stream| event(stream, 0, &opened("Paris")));
    let error = accounts.apply(records(epoch, 0, &events)).await.unwrap_err();
    assert!(reason(&error).contains("rejected the rows of 3 consecutive streams"), "{}", reason(&error));
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    alter(&database, "alter table bank.accounts drop constraint closed").await;
    assert_eq!(accounts.apply(records(epoch, 0, &events)).await.unwrap().unwrap().applied, 3);
}

/// Guarantee 6: one bad event follows the other and none in between is good, as in a projection with little to do. The
/// table accepts the row that it has, so the events are at fault.
#[tokio::test]
async fn bad_events_of_one_kind_are_parked_where_the_table_is_sound() {
    let database = Database::create().await;
    let (accounts, epoch) = accounts(&database).await;
    accounts.apply(records(epoch, 0, &[event("account-1", 0, &deposited(1))])).await.unwrap().unwrap();
    for number in 2..=6 {
        let bad = event(&format!("account-{number}"), 0, &deposited(1_000_000));
        let outcome = accounts.apply(records(epoch, number, &[bad])).await.unwrap().unwrap();
        assert_eq!(outcome.parked, 1, "account {number}");
    }
    let good = event("account-7", 0, &deposited(1));
    assert_eq!(accounts.apply(records(epoch, 7, &[good])).await.unwrap().unwrap().applied, 1);

    alter(&database, "alter table bank.branches add check (amount < 1000000)").await;
    let branches =
        Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = branches.claim("bank.0", 0).await.unwrap().epoch;
    branches.apply(records(epoch, 0, &[event("account-1", 0, &deposited(999_999))])).await.unwrap().unwrap();
    for number in 2..=6 {
        let bad = event(&format!("account-{number}"), 0, &deposited(1_000_000));
        let outcome = branches.apply(records(epoch, number, &[bad])).await.unwrap().unwrap();
        assert_eq!(outcome.parked, 1, "branch {number}");
    }
}

/// Guarantee 6: the first event after the change shows it, because the table rejects its own rows too. Nothing is
/// parked.
#[tokio::test]
async fn a_table_that_rejects_its_own_rows_halts_at_the_first_event() {
    let database = Database::create().await;
    let (accounts, epoch) = accounts(&database).await;
    let branches =
        Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let branches_epoch = branches.claim("bank.0", 0).await.unwrap().epoch;
    let first = event("account-1", 0, &deposited(1));
    accounts.apply(records(epoch, 0, std::slice::from_ref(&first))).await.unwrap().unwrap();
    branches.apply(records(branches_epoch, 0, &[first])).await.unwrap().unwrap();
    alter(&database, "alter table bank.accounts add constraint closed check (false) not valid").await;
    alter(&database, "alter table bank.branches add constraint closed check (false) not valid").await;

    let next = event("account-2", 0, &deposited(1));
    for (batches, epoch) in [(&accounts, epoch), (&branches, branches_epoch)] {
        let batch = records(epoch, 1, std::slice::from_ref(&next));
        let error = batches.apply(batch).await.unwrap_err();
        assert!(reason(&error).contains("a row that the table contains"), "{}", reason(&error));
    }
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    alter(&database, "alter table bank.accounts drop constraint closed").await;
    assert_eq!(accounts.apply(records(epoch, 1, &[next])).await.unwrap().unwrap().applied, 1);
}

/// Guarantee 6: no event is at fault if a column is missing or has another type.
#[tokio::test]
async fn a_dropped_or_changed_column_halts_and_parks_nothing() {
    for change in [
        "alter table bank.accounts drop column branch",
        "alter table bank.accounts alter column branch type integer using 0",
    ] {
        let database = Database::create().await;
        let (accounts, epoch) = accounts(&database).await;
        accounts.apply(records(epoch, 0, &[event("account-1", 0, &opened("Paris"))])).await.unwrap().unwrap();
        alter(&database, change).await;
        for number in 2..=4 {
            let next = event(&format!("account-{number}"), 0, &opened("Rome"));
            accounts.apply(records(epoch, number, &[next])).await.unwrap_err();
        }
        assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0, "{change}");
    }
}

/// A column's type is changed under a query that is prepared.
#[tokio::test]
async fn a_query_is_prepared_again_after_its_table_was_changed() {
    let database = Database::create().await;
    let options = PostgresOptions { connections: 1, ..PostgresOptions::new(&database.url) };
    let pool = options.query_pool("query", Duration::from_secs(10)).unwrap();
    let branches = || {
        run_query(&pool, |connection| {
            let query = sqlx::query_scalar("select branch from bank.accounts order by id");
            Box::pin(query.fetch_all(connection))
        })
    };
    alter(&database, "insert into bank.accounts values ('1', 'Paris', 0, '')").await;
    let before: Vec<String> = branches().await.unwrap();
    alter(&database, "alter table bank.accounts alter column branch type varchar(200)").await;
    // Without run_query the statement that the session has prepared is rejected.
    let rejected = sqlx::query_scalar::<_, String>("select branch from bank.accounts order by id")
        .fetch_all(&pool)
        .await;
    assert!(rejected.unwrap_err().to_string().contains("cached plan"));
    assert_eq!(branches().await.unwrap(), before);
}

/// A column's type is changed under a running projection, which retries with statements that are prepared again.
#[tokio::test]
async fn a_projection_prepares_its_statements_again() {
    let database = Database::create().await;
    let (accounts, epoch) = accounts(&database).await;
    accounts.apply(records(epoch, 0, &[event("account-1", 0, &opened("Paris"))])).await.unwrap().unwrap();
    for (revision, statement) in [
        (1, "alter table bank.accounts alter column branch type varchar(200)"),
        (2, "alter table bank.accounts alter column balance type numeric(12)"),
        (3, "alter table bank.accounts add column note text"),
    ] {
        if revision == 2 {
            alter(&database, "alter table bank.accounts drop column doubled").await;
        }
        alter(&database, statement).await;
        let batch = records(epoch, revision, &[event("account-1", revision, &deposited(1))]);
        match accounts.apply(batch).await {
            Ok(outcome) => assert_eq!(outcome.unwrap().applied, 1, "{statement}"),
            Err(error) => panic!("{statement}: {}", reason(&error)),
        }
    }
}
