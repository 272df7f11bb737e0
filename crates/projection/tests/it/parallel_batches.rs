//! Two batches of different partitions at the same time, while one of them, or the table, has a fault. Guarantees 1 to 3:
//! nothing is lost, nothing is duplicated, order holds.

use std::sync::Arc;

use aqueduct_projection::{BatchProcessor, Outcome, Projection, Record};
use tokio::task::JoinHandle;

use crate::bank::{Accounts, deposited, opened};
use crate::support::{Database, TestRecord, event, plain, records};

const ACCOUNTS: usize = 5;
const BATCHES: i64 = 30;

const ROWS: &str =
    "select id || ' ' || balance || ' after ' || \"order\" from bank.accounts order by id::integer";

async fn instance(database: &Database) -> Arc<BatchProcessor> {
    let projection = Projection::view::<Accounts<0>>(database.options(), plain());
    Arc::new(projection.batch_processor().await.unwrap())
}

async fn claim(instance: &BatchProcessor, partition: i32) -> i64 {
    instance.claim("bank.0", partition).await.unwrap().epoch
}

fn batch(partition: i32, epoch: i64, offset: i64, events: &[TestRecord]) -> Vec<Record> {
    let in_partition = |record| Record { partition, ..record };
    records(epoch, offset, events).into_iter().map(in_partition).collect()
}

/// The next event of each account of a partition.
fn events(partition: i32, revision: i64) -> Vec<TestRecord> {
    let account = |n| format!("account-{}", usize::try_from(partition).unwrap() * ACCOUNTS + n);
    let content = if revision == 0 { opened("Paris") } else { deposited(1) };
    (0..ACCOUNTS).map(|n| event(&account(n), revision, &content)).collect()
}

/// Applies the batches of a partition one after the other, in a task.
fn apply_all(instance: &Arc<BatchProcessor>, partition: i32, epoch: i64) -> JoinHandle<()> {
    let instance = Arc::clone(instance);
    tokio::spawn(async move {
        for revision in 0..BATCHES {
            let batch = batch(partition, epoch, revision * ACCOUNTS as i64, &events(partition, revision));
            let outcome = instance.apply(batch).await.unwrap().unwrap();
            assert_eq!(outcome.applied + outcome.duplicates, ACCOUNTS as u64, "{outcome:?}");
        }
    })
}

async fn assert_complete(database: &Database) {
    let order: String = (0..BATCHES).map(|revision| format!("{revision} ")).collect();
    let expected: Vec<_> =
        (0..2 * ACCOUNTS).map(|id| format!("{id} {} after {order}", BATCHES - 1)).collect();
    assert_eq!(database.texts(ROWS).await, expected);
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_although_the_other_ones_partition_is_lost() {
    let database = Database::create().await;
    let (instance, other) = (instance(&database).await, instance(&database).await);
    let epochs = [claim(&instance, 0).await, claim(&instance, 1).await];
    claim(&other, 1).await;
    let apply = |partition: i32, epoch| instance.apply(batch(partition, epoch, 0, &events(partition, 0)));
    let (kept, lost) = tokio::join!(apply(0, epochs[0]), apply(1, epochs[1]));
    assert_eq!(kept.unwrap(), Some(Outcome { applied: ACCOUNTS as u64, ..Outcome::default() }));
    assert_eq!(lost.unwrap(), None);
    assert_eq!(database.number("select count(*) from bank.accounts").await, ACCOUNTS as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_while_the_other_one_waits_for_a_row() {
    let database = Database::create().await;
    let instance = instance(&database).await;
    let epochs = [claim(&instance, 0).await, claim(&instance, 1).await];
    for (partition, epoch) in (0..).zip(epochs) {
        instance.apply(batch(partition, epoch, 0, &events(partition, 0))).await.unwrap().unwrap();
    }
    let mut holder = database.pool.begin().await.unwrap();
    sqlx::query("select from bank.accounts where id = $1 for update")
        .bind(ACCOUNTS.to_string())
        .execute(&mut *holder)
        .await
        .unwrap();
    let waiting = {
        let instance = Arc::clone(&instance);
        let batch = batch(1, epochs[1], ACCOUNTS as i64, &events(1, 1));
        tokio::spawn(async move { instance.apply(batch).await.unwrap() })
    };
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    database.wait_for(waits, 1).await;
    instance.apply(batch(0, epochs[0], ACCOUNTS as i64, &events(0, 1))).await.unwrap().unwrap();
    assert!(!waiting.is_finished());
    holder.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Some(Outcome { applied: ACCOUNTS as u64, ..Outcome::default() }));
}

/// Runs statements one after the other, again and again, while two partitions are applied.
async fn apply_during(statements: &[&'static str]) -> Database {
    let database = Database::create().await;
    let instance = instance(&database).await;
    let epochs = [claim(&instance, 0).await, claim(&instance, 1).await];
    let batches = [apply_all(&instance, 0, epochs[0]), apply_all(&instance, 1, epochs[1])];
    for (runs, statement) in statements.iter().cycle().enumerate() {
        if batches.iter().all(JoinHandle::is_finished) && runs >= statements.len() {
            break;
        }
        sqlx::raw_sql(*statement).execute(&database.pool).await.unwrap();
    }
    for batch in batches {
        batch.await.unwrap();
    }
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_may_change_while_two_batches_are_written() {
    let database = apply_during(&[
        "alter table bank.accounts add column note text",
        "create trigger unchanged before update on bank.accounts for each row
             execute function suppress_redundant_updates_trigger()",
        "drop trigger unchanged on bank.accounts",
        "alter table bank.accounts drop column note",
    ])
    .await;
    assert_complete(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_may_be_lost_while_two_batches_are_written() {
    let database = apply_during(&[
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name like 'aqueduct.%'",
        "select pg_sleep(0.2)",
    ])
    .await;
    assert_complete(&database).await;
}
