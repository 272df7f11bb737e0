//! A database of the version before is migrated with its inboxes, offsets and parked events.

use std::borrow::Cow;
use std::path::Path;

use aqueduct_projection::{Claim, Projection, ProjectionError, RequestStep, migrate, migration_pool};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};

use crate::bank::{Accounts, TABLES, deposited};
use crate::support::{Database, event, plain, records, stack};

/// The last migration of version 0.1.
const OLD_VERSION: i64 = 3;

async fn migrate_to_old_version(pool: &PgPool) {
    migrate_without(pool, |version| version > OLD_VERSION).await;
}

/// Runs the migrations whose versions are not left out.
async fn migrate_without(pool: &PgPool, is_left_out: impl Fn(i64) -> bool) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    let all = Migrator::new(folder).await.unwrap();
    let old = all.iter().filter(|migration| !is_left_out(migration.version)).cloned().collect::<Vec<_>>();
    let mut migrator = Migrator { migrations: Cow::Owned(old), ..all };
    migrator.dangerous_set_table_name("aqueduct.projection_migrations");
    migrator.create_schema("aqueduct");
    migrator.run(pool).await.unwrap();
}

/// Calls the functions of the old version as its projection did: three events of one stream, of which the second
/// is invalid, one of another stream, and a gap in a third.
const OLD_CALLS: &str = r#"
    select aqueduct.offsets_claim('accounts', 1, 'bank.0', 0, 'old');
    select aqueduct.offsets_advance('accounts', 1, '{bank.0}', '{0}', '{1}', '{6}');
    select aqueduct.inbox_of('accounts', 1, 'aqueduct/eventstore', 'bank.0');
    select aqueduct.inbox_receive('{1,1,1,1,1,1}', '{account-1,account-1,account-1,account-2,account-3,""}',
        '{0,1,2,0,3,null}', '{0,0,0,0,0,0}', '{-1,0,1,-1,1,null}', '{0,0,0,0,0,0}', '{f,t,f,f,f,t}');
    select aqueduct.park(1, 'account-1', 1, 0, 'faulty', 'bank.0/0@1: event type Deposited does not fit: missing field',
        'Deposited', 0, 1, 'account-1', '{}', '[{"name": "ce_type", "value": "bank.Deposited"}]');
    select aqueduct.park(1, 'account-1', 2, 0, 'held', 'bank.0/0@2: an earlier event of the stream is parked',
        'Deposited', 0, 2, 'account-1', '{"amount": 1}', '[]');
    select aqueduct.park(1, 'account-3', 3, 0, 'gap', 'bank.0/0@4: a gap: the record before it, of revision 1, is not the last one applied',
        'Deposited', 0, 4, 'account-3', '{"amount": 1}', '[]');
    select aqueduct.park(1, '', null, null, 'faulty', 'bank.0/0@5: header ce_revision is missing',
        null, 0, 5, null, null, '[]');
"#;

#[tokio::test]
async fn migrations_keep_inboxes_offsets_and_parked_events() {
    let database = Database::create_empty_on(stack()).await;
    migrate_to_old_version(&database.pool).await;
    sqlx::raw_sql(AssertSqlSafe(OLD_CALLS)).execute(&database.pool).await.unwrap();
    let parked_at = "select string_agg(parked_at::text, ' ' order by id) from aqueduct.parked";
    let before = database.texts(parked_at).await;

    migrate(&database.pool).await.unwrap();
    let inbox = "select stream || ' ' || revision || ' ' || blocked from aqueduct.inbox order by 1";
    assert_eq!(
        database.texts(inbox).await,
        [" -1 true", "account-1 0 true", "account-2 0 false", "account-3 -1 true"]
    );
    let parked = "select coalesce(revision::text, '?') || '@' || stream || ' ' || verdict || ' ' || code || ' ' \
                  || \"offset\" || ' ' || coalesce(encode(payload, 'escape'), '?') from aqueduct.parked order by id";
    assert_eq!(
        database.texts(parked).await,
        [
            "1@account-1 invalid payload 1 {}",
            "2@account-1 blocked blocked 2 {\"amount\": 1}",
            "3@account-3 gap gap 4 {\"amount\": 1}",
            "?@ invalid headers 5 ?"
        ]
    );
    assert_eq!(database.texts(parked_at).await, before);

    // The new version resumes at the offset, drops what was applied and parks what follows parked events.
    sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    let Claim { epoch, resume_at } = batches.claim("bank.0", 0).await.unwrap();
    assert_eq!((epoch, resume_at), (2, Some(6)));
    let events = [
        event("account-2", 0, &deposited(1)),
        event("account-2", 1, &deposited(1)),
        event("account-1", 2, &deposited(1)),
        event("account-1", 3, &deposited(1)),
    ];
    let outcome = batches.apply(records(epoch, 6, &events)).await.unwrap().unwrap();
    assert_eq!((outcome.applied, outcome.duplicates, outcome.parked), (1, 2, 1));
}

/// A discard that the version before has executed is not executed again, and the request is finished.
#[tokio::test]
async fn a_discard_executed_before_the_migration_is_not_executed_again() {
    let database = Database::create_empty_on(stack()).await;
    migrate_without(&database.pool, |version| version > 5).await;
    sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
    let requested = r#"
        select aqueduct.inbox_of('accounts', 1, 'aqueduct/eventstore', 'bank.0');
        insert into aqueduct.inbox_streams (inbox, stream, revision, blocked) values (1, 'account-1', 0, true);
        select aqueduct.park(1, 'account-1', 1, 0, 'invalid', 'panic', '', 'Deposited', 0, 1, 'account-1', '{}', '[]');
        select * from aqueduct.parked_request('discard', null, null, null, null, null, null);
        update aqueduct.parked set state = 'discarded';
        update aqueduct.parked_work set discarded = 1, touched_at = now();
    "#;
    sqlx::raw_sql(requested).execute(&database.pool).await.unwrap();

    migrate(&database.pool).await.unwrap();
    let batches =
        Projection::view::<Accounts<0>>(database.options(), plain()).batch_processor().await.unwrap();
    batches.claim("bank.0", 0).await.unwrap();
    while batches.execute_step().await.unwrap() == RequestStep::Executed {}
    let work = "select state || ' ' || discarded from aqueduct.parked_work";
    assert_eq!(database.texts(work).await, ["done 1"]);
    let inbox = "select revision || ' ' || blocked from aqueduct.inbox";
    assert_eq!(database.texts(inbox).await, ["1 false"]);
}

/// Promise: a database whose migrations are not those of this version is not written.
#[tokio::test]
async fn a_migration_that_was_changed_is_an_error() {
    let database = Database::create().await;
    sqlx::raw_sql("update aqueduct.projection_migrations set checksum = '\\x00' where version = 9")
        .execute(&database.pool)
        .await
        .unwrap();
    let projection = Projection::view::<Accounts<0>>(database.options(), plain());
    let error = projection.batch_processor().await.map(drop).unwrap_err();
    assert!(matches!(error, ProjectionError::Migrate { .. }), "{error:?}");
}

/// A frozen process must not keep the lock of all migrations, but a long statement may take its time.
#[tokio::test]
async fn an_idle_migration_session_is_ended() {
    let database = Database::create_empty_on(stack()).await;
    let pool = migration_pool(&database.pool);
    for (setting, expected) in [
        ("idle_session_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
    ] {
        let value: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&pool).await.unwrap();
        assert_eq!(value, expected, "{setting}");
    }
}

/// A row with a sub-index would lose it: the migration rejects it and changes nothing.
#[tokio::test]
async fn a_database_with_a_sub_index_is_not_migrated() {
    let database = Database::create_empty_on(stack()).await;
    migrate_to_old_version(&database.pool).await;
    let row = "insert into aqueduct.inbox_streams (inbox, stream, revision, subindex, held) values (1, 's', 1, 1, false)";
    sqlx::raw_sql(row).execute(&database.pool).await.unwrap();
    let error = migrate(&database.pool).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("a sub-index other than 0"), "{text}");
    assert_eq!(database.number("select max(version) from aqueduct.projection_migrations").await, OLD_VERSION);
    assert_eq!(database.number("select count(*) from aqueduct.inbox_streams where subindex = 1").await, 1);
}
