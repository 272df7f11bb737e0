//! Batches that are written by one statement, and what happens when the statement finds something else than it expects.

use aqueduct_projection::{BatchProcessor, Outcome, Projection};

use crate::bank::{Accounts, Branches, deposited, opened};
use crate::sql;
use crate::support::{Database, TestRecord, event, eventually, forbid_single_statements, plain, records};

const ROWS: &str = "select id || ' ' || coalesce(branch, '-') || ' ' || balance || ' after ' || \"order\" \
                    from bank.accounts order by 1";

/// The accounts of partition 0, in one instance.
struct Instance {
    batches: BatchProcessor,
    epoch: i64,
}

impl Instance {
    async fn start(database: &Database) -> Self {
        let batches =
            Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
        let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
        Self { batches, epoch }
    }

    async fn apply(&self, first_offset: i64, events: &[TestRecord]) -> Option<Outcome> {
        self.batches.apply(records(self.epoch, first_offset, events)).await.unwrap()
    }

    /// Applies all of the events.
    async fn apply_all(&self, first_offset: i64, events: &[TestRecord]) {
        let outcome = self.apply(first_offset, events).await;
        assert_eq!(outcome, Some(Outcome { applied: events.len() as u64, ..Outcome::default() }));
    }
}

async fn execute(database: &Database, statements: &'static str) {
    sqlx::raw_sql(statements).execute(&database.pool).await.unwrap();
}

/// From now on a batch that is not written by one statement fails.
async fn forbid_transactions(database: &Database) {
    execute(
        database,
        "drop function aqueduct.inbox_receive;
         create function aqueduct.inbox_receive(integer[], text[], bigint[], bigint[], boolean[], text[]) returns text[]
         language plpgsql as $$ begin raise exception using errcode = '42P01', message = 'a transaction'; end $$",
    )
    .await;
}

/// Two accounts, written by one statement.
async fn two_accounts() -> (Database, Instance) {
    let database = Database::create().await;
    let instance = Instance::start(&database).await;
    instance
        .apply_all(0, &[event("account-1", 0, &opened("Paris")), event("account-2", 0, &opened("Rome"))])
        .await;
    (database, instance)
}

#[tokio::test]
async fn records_that_are_next_of_their_streams_need_no_transaction() {
    let database = Database::create().await;
    forbid_transactions(&database).await;
    let accounts = Instance::start(&database).await;
    let audited = TestRecord { event_type: "Audited".to_owned(), ..event("account-1", 2, &deposited(0)) };
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 1, &deposited(5)),
        audited,
    ];
    accounts.apply_all(0, &events).await;
    accounts
        .apply_all(4, &[event("account-1", 3, &deposited(7)), event("account-3", 0, &opened("Oslo"))])
        .await;
    assert_eq!(
        database.texts(ROWS).await,
        ["1 Paris 12 after 0 1 3 ", "2 Rome 0 after 0 ", "3 Oslo 0 after 0 "]
    );
    assert_eq!(
        database.texts("select stream || '@' || revision from aqueduct.inbox order by 1").await,
        ["account-1@3", "account-2@0", "account-3@0"]
    );
    assert_eq!(database.number("select next_offset from aqueduct.offsets").await, 6);

    let branches =
        Projection::deltas::<Branches<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = branches.claim("bank.0", 0).await.unwrap().epoch;
    let deposits = |revision| {
        ["account-paris-1", "account-rome-1", "account-paris-2"]
            .map(|stream| event(stream, revision, &deposited(5)))
    };
    for (offset, revision) in [(0, 0), (3, 1)] {
        branches.apply(records(epoch, offset, &deposits(revision))).await.unwrap().unwrap();
    }
    let sums = "select branch || ' ' || deposits || ' ' || amount from bank.branches order by 1";
    assert_eq!(database.texts(sums).await, ["paris 4 20", "rome 2 10"]);
}

/// Promise: what SQL files do comes after the inbox, in the same transaction.
#[tokio::test]
async fn sql_files_need_no_other_statements_for_the_inbox() {
    let database = Database::create().await;
    forbid_transactions(&database).await;
    let files = sql::directory();
    let accounts = sql::start(&database, files.path()).await.unwrap();
    let epoch = accounts.claim("bank.0", 0).await.unwrap().epoch;
    let first = [event("account-1", 0, &opened("Paris")), event("account-1", 1, &deposited(5))];
    let second = [event("account-1", 2, &deposited(7)), event("account-2", 0, &opened("Rome"))];
    for (offset, events) in [(0, first), (2, second)] {
        let outcome = accounts.apply(records(epoch, offset, &events)).await.unwrap();
        assert_eq!(outcome, Some(Outcome { applied: 2, ..Outcome::default() }));
    }
    assert_eq!(database.texts(ROWS).await, ["1 Paris 12 after 0 1 2 ", "2 Rome 0 after 0 "]);
    assert_eq!(database.number("select next_offset from aqueduct.offsets").await, 4);

    // A file that fails undoes what the statement has written.
    let unknown = accounts.apply(records(epoch, 4, &[event("account-3", 0, &deposited(1))])).await;
    assert!(unknown.is_err(), "a transaction must find out which event is at fault");
    assert_eq!(database.number("select next_offset from aqueduct.offsets").await, 4);
    assert_eq!(database.number("select count(*) from aqueduct.inbox").await, 2);
}

/// A batch of many events of one stream, and of events of very different sizes.
#[tokio::test]
async fn long_streams_and_large_events_need_no_transaction() {
    let database = Database::create().await;
    forbid_transactions(&database).await;
    let accounts = Instance::start(&database).await;
    let mut events = vec![event("account-1", 0, &opened(&"x".repeat(1_000_000)))];
    events.extend((1..10_000).map(|revision| event("account-1", revision, &deposited(1))));
    events.push(event("account-2", 0, &opened("Rome")));
    accounts.apply_all(0, &events).await;
    let rows = "select id || ' ' || length(branch) || ' ' || balance from bank.accounts order by 1";
    assert_eq!(database.texts(rows).await, ["1 1000000 9999", "2 4 0"]);
}

/// Guarantee 2: a batch whose outcome was unknown is tried again.
#[tokio::test]
async fn a_batch_that_was_committed_is_not_applied_again() {
    let (database, instance) = two_accounts().await;
    let batch = [event("account-1", 1, &deposited(5)), event("account-2", 1, &deposited(6))];
    instance.apply_all(2, &batch).await;
    let again = instance.apply(2, &batch).await;
    assert_eq!(again, Some(Outcome { duplicates: 2, ..Outcome::default() }));
    assert_eq!(database.texts(ROWS).await, ["1 Paris 5 after 0 1 ", "2 Rome 6 after 0 1 "]);
}

/// Guarantee 4.
#[tokio::test]
async fn a_gap_is_detected() {
    let (database, instance) = two_accounts().await;
    let batch = [event("account-1", 2, &deposited(5)), event("account-2", 1, &deposited(6))];
    let outcome = instance.apply(2, &batch).await;
    assert_eq!(outcome, Some(Outcome { applied: 1, gaps: 1, parked: 1, ..Outcome::default() }));
    assert_eq!(database.texts(ROWS).await, ["1 Paris 0 after 0 ", "2 Rome 6 after 0 1 "]);
}

/// Guarantee 2: a former owner that does not know of its successor.
#[tokio::test]
async fn a_former_owner_writes_nothing() {
    let (database, former) = two_accounts().await;
    let owner = Instance::start(&database).await;
    assert_eq!(former.apply(2, &[event("account-1", 1, &deposited(5))]).await, None);
    assert_eq!(database.texts(ROWS).await, ["1 Paris 0 after 0 ", "2 Rome 0 after 0 "]);
    owner.apply_all(2, &[event("account-1", 1, &deposited(7))]).await;
    assert_eq!(database.texts(ROWS).await, ["1 Paris 7 after 0 1 ", "2 Rome 0 after 0 "]);
}

/// Waits until a statement of a projection waits for a lock.
async fn until_blocked(database: &Database) {
    let is_blocked = async || {
        let blocked = "select count(*) from pg_stat_activity where datname = current_database() \
                       and wait_event_type = 'Lock' and query like 'with fence%'";
        if database.number(blocked).await > 0 { Ok(()) } else { Err("no statement waits".to_owned()) }
    };
    eventually(is_blocked).await.unwrap();
}

/// Guarantee 2: the partition is claimed while the statement waits for it.
#[tokio::test]
async fn a_statement_that_waits_for_a_claim_writes_nothing() {
    let (database, former) = two_accounts().await;
    let mut claim = database.pool.begin().await.unwrap();
    sqlx::query("select aqueduct.offsets_claim('accounts', 1, 'bank.0', 0, 'other')")
        .execute(&mut *claim)
        .await
        .unwrap();
    let batch = [event("account-1", 1, &deposited(5))];
    let (outcome, ()) = tokio::join!(former.apply(2, &batch), async {
        until_blocked(&database).await;
        claim.commit().await.unwrap();
    });
    assert_eq!(outcome, None);
    assert_eq!(database.texts(ROWS).await, ["1 Paris 0 after 0 ", "2 Rome 0 after 0 "]);
}

/// Guarantees 1 and 2: the connection is lost while the statement runs.
#[tokio::test]
async fn a_batch_is_written_once_although_its_connection_was_lost() {
    let (database, instance) = two_accounts().await;
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("select from bank.accounts where id = '1' for update").execute(&mut *lock).await.unwrap();
    let batch = [event("account-1", 1, &deposited(5))];
    let (outcome, ()) = tokio::join!(instance.apply(2, &batch), async {
        until_blocked(&database).await;
        execute(
            &database,
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and query like 'with fence%' and pid <> pg_backend_pid()",
        )
        .await;
        lock.rollback().await.unwrap();
    });
    assert_eq!(outcome.unwrap().applied, 1);
    assert_eq!(database.texts(ROWS).await, ["1 Paris 5 after 0 1 ", "2 Rome 0 after 0 "]);
}

/// Rows that another program writes, inserts and deletes are read again.
#[tokio::test]
async fn rows_that_were_changed_by_hand_are_read_again() {
    let (database, instance) = two_accounts().await;
    execute(
        &database,
        "update bank.accounts set balance = 100 where id = '1';
         delete from bank.accounts where id = '2';
         insert into bank.accounts (id, branch, balance, \"order\") values ('3', 'Bonn', 50, '')",
    )
    .await;
    let batch = [
        event("account-1", 1, &deposited(5)),
        event("account-2", 1, &deposited(6)),
        event("account-3", 0, &deposited(7)),
    ];
    instance.apply_all(2, &batch).await;
    assert_eq!(
        database.texts(ROWS).await,
        ["1 Paris 105 after 0 1 ", "2 - 6 after 1 ", "3 Bonn 57 after 0 "]
    );
}

/// The change keeps the versions of the rows.
#[tokio::test]
async fn rows_are_read_again_after_their_table_was_rewritten() {
    let (database, instance) = two_accounts().await;
    execute(&database, "alter table bank.accounts alter column branch type text using upper(branch)").await;
    instance.apply_all(2, &[event("account-1", 1, &deposited(5))]).await;
    assert_eq!(database.texts(ROWS).await, ["1 PARIS 5 after 0 1 ", "2 ROME 0 after 0 "]);
}

/// A trigger that is added while the projection runs changes what is stored.
#[tokio::test]
async fn rows_that_a_trigger_changes_are_read_as_they_are_stored() {
    let (database, instance) = two_accounts().await;
    instance.apply_all(2, &[event("account-1", 1, &deposited(1))]).await;
    execute(
        &database,
        "create function bank.add_ten() returns trigger language plpgsql as
             $$ begin new.balance := new.balance + 10; return new; end $$;
         create trigger add_ten before update on bank.accounts
             for each row execute function bank.add_ten()",
    )
    .await;
    for (offset, revision) in [(3, 2), (4, 3)] {
        instance.apply_all(offset, &[event("account-1", revision, &deposited(1))]).await;
    }
    execute(&database, "drop trigger add_ten on bank.accounts").await;
    instance.apply_all(5, &[event("account-1", 4, &deposited(1))]).await;
    assert_eq!(database.texts(ROWS).await, ["1 Paris 24 after 0 1 2 3 4 ", "2 Rome 0 after 0 "]);
}

/// A trigger may also prevent a row from being written.
#[tokio::test]
async fn a_row_that_a_trigger_suppresses_is_left_out() {
    let (database, instance) = two_accounts().await;
    execute(
        &database,
        "create function bank.suppress() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger suppress before update on bank.accounts for each row when (old.id = '1')
             execute function bank.suppress()",
    )
    .await;
    let batch = [event("account-1", 1, &deposited(5)), event("account-2", 1, &deposited(6))];
    instance.apply_all(2, &batch).await;
    assert_eq!(database.texts(ROWS).await, ["1 Paris 0 after 0 ", "2 Rome 6 after 0 1 "]);
}

#[tokio::test]
async fn a_view_and_a_partitioned_table_take_the_place_of_a_table() {
    for replacement in [
        "alter table bank.accounts rename to stored; create view bank.accounts as select * from bank.stored",
        "alter table bank.accounts rename to stored;
         create table bank.accounts (id text primary key, branch text, balance numeric not null, \"order\" text not null)
             partition by hash (id);
         create table bank.even partition of bank.accounts for values with (modulus 2, remainder 0);
         create table bank.odd partition of bank.accounts for values with (modulus 2, remainder 1);
         insert into bank.accounts select id, branch, balance, \"order\" from bank.stored",
    ] {
        let (database, instance) = two_accounts().await;
        execute(&database, replacement).await;
        for (offset, revision) in [(2, 1), (3, 2)] {
            instance.apply_all(offset, &[event("account-1", revision, &deposited(5))]).await;
        }
        assert_eq!(database.texts(ROWS).await, ["1 Paris 10 after 0 1 2 ", "2 Rome 0 after 0 "], "{replacement}");
    }
}

/// What a batch that a single statement cannot write costs is not paid by each batch, and single statements come back.
#[tokio::test]
async fn single_statements_are_tried_again_after_batches_that_needed_a_transaction() {
    let (database, instance) = two_accounts().await;
    forbid_single_statements(&database).await;
    for (offset, revision) in (2..12).zip(1..) {
        instance.apply_all(offset, &[event("account-1", revision, &deposited(1))]).await;
    }
    execute(
        &database,
        "create or replace function aqueduct.batch_check(in_is_complete boolean) returns boolean
         language plpgsql as $$ begin
             if in_is_complete is not true then raise exception using errcode = 'AQ002'; end if;
             return true;
         end $$",
    )
    .await;
    for (offset, revision) in (12..40).zip(11..) {
        instance.apply_all(offset, &[event("account-1", revision, &deposited(1))]).await;
    }
    forbid_transactions(&database).await;
    instance.apply_all(40, &[event("account-2", 1, &deposited(1))]).await;
}
