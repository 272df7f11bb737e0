//! The speed of a batch is not bought with durability.

use aqueduct_projection::Projection;

use crate::bank::{Accounts, deposited, opened};
use crate::support::{Database, event, forbid_single_statements, plain, records};

/// Promise: nothing is lost (1). Both ways of writing a batch commit as Postgres does by default, to tables that survive a
/// crash.
#[tokio::test]
async fn a_batch_is_committed_with_the_default_durability() {
    let database = Database::create().await;
    sqlx::raw_sql(
        "alter table bank.accounts add durability text not null default \
         current_setting('synchronous_commit') || ' ' || current_setting('fsync')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let first = [event("account-1", 0, &opened("Paris")), event("account-1", 1, &deposited(5))];
    batches.apply(records(epoch, 0, &first)).await.unwrap();
    forbid_single_statements(&database).await;
    batches.apply(records(epoch, 2, &[event("account-2", 0, &opened("Rome"))])).await.unwrap();

    assert_eq!(database.texts("select durability from bank.accounts").await, ["on on", "on on"]);
    let unlogged = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                    where n.nspname in ('aqueduct', 'bank') and c.relkind = 'r' and c.relpersistence <> 'p'";
    assert_eq!(database.texts(unlogged).await, Vec::<String>::new());
}
