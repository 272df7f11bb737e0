//! Guarantees 1 and 2 while Postgres refuses to work: nothing is lost, parked or applied twice, in Rust and in SQL files.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_projection::{
    BatchProcessor, Options, Outcome, PostgresOptions, Projection, SqlProjection, parked,
};
use aqueduct_schema::TopicSchemas;
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::bank::{Accounts, deposited, opened};
use crate::parked::{PARKED, execute_steps, stream};
use crate::sql;
use crate::support::{Database, TestRecord, event, plain, records};

const ROWS: &str = "select id || ' ' || balance || ' after ' || \"order\" from bank.accounts order by 1";

/// How the accounts are written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Rust,
    SqlFiles,
}

const FORMS: [Form; 2] = [Form::Rust, Form::SqlFiles];

/// The accounts of partition 0, in one instance.
struct Instance {
    batches: Arc<BatchProcessor>,
    epoch: i64,
    /// The SQL files.
    _directory: TempDir,
}

impl Instance {
    /// Gives up on a statement or a wait for a lock after three seconds.
    async fn start(database: &Database, form: Form) -> Self {
        let options = Options { session_timeout_ms: 3000, ..database.options() };
        Self::start_with(options, form).await
    }

    async fn start_with(options: Options, form: Form) -> Self {
        let directory = sql::directory();
        let projection = match form {
            Form::Rust => Projection::view::<Accounts<0>>(options, plain()),
            Form::SqlFiles => {
                let files = SqlProjection::load(directory.path()).unwrap();
                Projection::sql(options, plain(), files, TopicSchemas::default())
            }
        };
        let batches = Arc::new(projection.batch_processor().await.unwrap());
        let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
        Self { batches, epoch, _directory: directory }
    }

    /// Applies a batch in a task.
    fn apply(&self, events: &[TestRecord]) -> JoinHandle<Outcome> {
        let (batches, records) = (Arc::clone(&self.batches), records(self.epoch, 0, events));
        tokio::spawn(async move { batches.apply(records).await.unwrap().unwrap() })
    }
}

fn two_accounts() -> [TestRecord; 4] {
    [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 1, &deposited(5)),
        event("account-2", 1, &deposited(6)),
    ]
}

async fn execute(database: &Database, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&database.pool).await.unwrap();
}

/// All events were applied once, and none was parked.
async fn assert_applied(database: &Database, outcome: &Outcome, form: Form) {
    assert_eq!(*outcome, Outcome { applied: 4, ..Outcome::default() }, "{form:?}");
    assert_eq!(database.texts(ROWS).await, ["1 5 after 0 1 ", "2 6 after 0 1 "], "{form:?}");
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0, "{form:?}");
}

/// Has the first three writes of the table fail by this statement of PL/pgSQL.
async fn fail_three_times(database: &Database, statement: &str) {
    let trigger = format!(
        "create sequence bank.attempts;
         create function bank.fail() returns trigger language plpgsql as
             $$ begin if nextval('bank.attempts') <= 3 then {statement}; end if; return null; end $$;
         create trigger fail before insert on bank.accounts for each statement execute function bank.fail()"
    );
    execute(database, &trigger).await;
}

#[tokio::test]
async fn a_serialization_failure_is_tried_again() {
    for code in ["40001", "40P01"] {
        for form in FORMS {
            let database = Database::create().await;
            fail_three_times(&database, &format!("raise exception using errcode = '{code}'")).await;
            let instance = Instance::start(&database, form).await;
            let outcome = instance.apply(&two_accounts()).await.unwrap();
            assert_applied(&database, &outcome, form).await;
            assert!(database.number("select last_value from bank.attempts").await > 3, "{code} {form:?}");
        }
    }
}

#[tokio::test]
async fn a_statement_that_took_too_long_is_tried_again() {
    for form in FORMS {
        let database = Database::create().await;
        fail_three_times(&database, "perform pg_sleep(60)").await;
        let instance = Instance::start(&database, form).await;
        let outcome = instance.apply(&two_accounts()).await.unwrap();
        assert_applied(&database, &outcome, form).await;
        assert!(database.number("select last_value from bank.attempts").await > 3, "{form:?}");
    }
}

/// Has Postgres run these statements of PL/pgSQL while it checks a row with a balance of at least 77. SQL files still run once for several
/// events, because the function is called immutable.
async fn check_rows(database: &Database, statements: &str) {
    let constraint = format!(
        "create function bank.check_row(balance numeric) returns boolean language plpgsql immutable as
             $$ begin if balance >= 77 then {statements} end if; return true; end $$;
         alter table bank.accounts add constraint check_row check (bank.check_row(balance))"
    );
    execute(database, &constraint).await;
}

fn slow_account() -> [TestRecord; 5] {
    let [one, two, _, deposit] = two_accounts();
    [one, event("account-1", 1, &deposited(77)), two, deposit, event("account-1", 2, &deposited(1))]
}

/// Guarantee 6: the others are applied. A replay that takes too long ends with that reason.
#[tokio::test]
async fn an_event_whose_statement_alone_takes_too_long_is_parked() {
    for form in FORMS {
        let database = Database::create().await;
        check_rows(&database, "perform pg_sleep(60);").await;
        let instance = Instance::start(&database, form).await;
        let outcome = instance.apply(&slow_account()).await.unwrap();
        assert_eq!(outcome, Outcome { applied: 3, parked: 2, ..Outcome::default() }, "{form:?}");
        assert_eq!(database.texts(ROWS).await, ["1 0 after 0 ", "2 6 after 0 1 "], "{form:?}");
        assert_eq!(database.texts(PARKED).await, ["1@account-1 parked row", "2@account-1 parked blocked"]);
        let reasons = database.texts("select reason from aqueduct.parked order by id").await;
        assert!(reasons[0].contains("canceling statement due to statement timeout"), "{reasons:?}");

        let request = parked::replay(&database.pool, &stream("account-1")).await.unwrap().unwrap().id;
        execute_steps(&instance.batches).await;
        let progress = parked::progress(&database.pool, request).await.unwrap();
        assert!(progress.problem.as_ref().unwrap().contains("statement timeout"), "{progress:?}");
        execute(&database, "alter table bank.accounts drop constraint check_row").await;
        parked::replay(&database.pool, &stream("account-1")).await.unwrap();
        execute_steps(&instance.batches).await;
        assert_eq!(database.texts(ROWS).await, ["1 78 after 0 1 2 ", "2 6 after 0 1 "], "{form:?}");
    }
}

/// Its statement takes too long each time, but because it waits: for one lock after the other, none of them for long.
#[tokio::test]
async fn an_event_that_waits_for_many_locks_is_not_parked() {
    const ATTEMPTS: i64 = 5;
    let database = Database::create().await;
    let waits = "perform set_config('lock_timeout', '100ms', true);
                 loop
                     begin
                         perform pg_advisory_xact_lock_shared(7);
                         exit;
                     exception when lock_not_available then null;
                     end;
                 end loop;";
    check_rows(&database, waits).await;
    let instance = Instance::start(&database, Form::SqlFiles).await;
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *lock).await.unwrap();
    let before = database.number(ROLLED_BACK).await;
    let applied = instance.apply(&slow_account());
    database.wait_until(ROLLED_BACK, |rolled_back| rolled_back >= before + ATTEMPTS).await;
    assert!(!applied.is_finished());
    lock.rollback().await.unwrap();
    assert_eq!(applied.await.unwrap(), Outcome { applied: 5, ..Outcome::default() });
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
}

/// How many transactions of this database were rolled back.
const ROLLED_BACK: &str =
    "select pg_stat_get_db_xact_rollback(oid) from pg_database where datname = current_database()";

#[tokio::test]
async fn a_long_lock_on_the_table_is_waited_out() {
    for form in FORMS {
        let database = Database::create().await;
        let instance = Instance::start(&database, form).await;
        let mut lock = database.pool.begin().await.unwrap();
        sqlx::raw_sql("lock table bank.accounts in exclusive mode").execute(&mut *lock).await.unwrap();
        let before = database.number(ROLLED_BACK).await;
        let applied = instance.apply(&two_accounts());
        // Postgres counts what a session has done once it is idle.
        database.wait_until(ROLLED_BACK, |rolled_back| rolled_back > before).await;
        assert!(!applied.is_finished(), "{form:?}");
        lock.rollback().await.unwrap();
        assert_applied(&database, &applied.await.unwrap(), form).await;
    }
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_waited_for() {
    for form in FORMS {
        let database = Database::create().await;
        let role = format!("limited_{form:?}").to_lowercase();
        execute(
            &database,
            &format!(
                "create role {role} login password 'limited';
                 grant usage on schema aqueduct, bank to {role};
                 grant all on all tables in schema aqueduct, bank to {role};
                 grant all on all sequences in schema aqueduct to {role}"
            ),
        )
        .await;
        let (_, server) = database.url.split_once('@').unwrap();
        let url = format!("postgres://{role}:limited@{server}");
        let postgres = PostgresOptions { timeout_seconds: 1, ..PostgresOptions::new(&url) };
        let instance = Instance::start_with(Options { postgres, ..database.options() }, form).await;
        // Its connections are closed, and no other is accepted.
        execute(
            &database,
            &format!(
                "alter role {role} connection limit 0;
                 select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = '{role}'"
            ),
        )
        .await;
        let refused = sqlx::PgConnection::connect(&url).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "53300");
        let mut applied = instance.apply(&two_accounts());
        let early = tokio::time::timeout(Duration::from_secs(3), &mut applied).await;
        assert!(early.is_err(), "{form:?}: applied without a connection");
        execute(&database, &format!("alter role {role} connection limit -1")).await;
        assert_applied(&database, &applied.await.unwrap(), form).await;
    }
}

#[tokio::test]
async fn two_may_run_the_migrations_at_once() {
    let stack = crate::support::stack();
    for _ in 0..3 {
        let database = Database::create_empty_on(stack).await;
        let other = sqlx::PgPool::connect(&database.url).await.unwrap();
        let (one, two) =
            tokio::join!(aqueduct_projection::migrate(&database.pool), aqueduct_projection::migrate(&other));
        one.unwrap();
        two.unwrap();
        let directory = sql::directory();
        fs::create_dir(directory.path().join("migrations")).unwrap();
        sql::write(directory.path(), "migrations/0001_bank.sql", crate::bank::TABLES);
        let files = SqlProjection::load(directory.path()).unwrap();
        let (one, two) = tokio::join!(files.migrate(&database.pool), files.migrate(&other));
        one.unwrap();
        two.unwrap();
        let instance = Instance::start(&database, Form::SqlFiles).await;
        let outcome = instance.apply(&two_accounts()).await.unwrap();
        assert_applied(&database, &outcome, Form::SqlFiles).await;
    }
}

/// Names the directory of the small disk to the test that runs where it is mounted.
const DISK: &str = "AQUEDUCT_TEST_SMALL_DISK";
const FULL_DISK_TEST: &str = "postgres_faults::a_full_disk_is_waited_out";

/// Runs itself with a mount of its own, which ends with it.
#[test]
fn a_full_disk_is_waited_out() {
    if let Some(disk) = env::var_os(DISK) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(on_a_full_disk(Path::new(&disk)));
    }
    let disk = tempfile::tempdir().unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    // Postgres does not run as root: whoever is not root becomes another user again, in a namespace within the one that mounts.
    let (namespaces, user): (&[&str], &str) = if is_root {
        (&["--mount"], "")
    } else {
        (&["--user", "--map-root-user", "--mount"], "unshare --user --map-user=1000")
    };
    let script = format!("mount -t tmpfs -o size=8m,mode=777 tmpfs \"$0\" && exec {user} \"$@\"");
    command.args(namespaces).args(["sh", "-c", &script]).arg(disk.path());
    command.arg(env::current_exe().unwrap()).args(["--exact", FULL_DISK_TEST, "--nocapture"]);
    let output = command.env(DISK, disk.path()).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs unshare, of util-linux: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "{}", text(&output.stdout));
}

async fn on_a_full_disk(disk: &Path) {
    let own = StackOptions { postgres: Part::start(), ..StackOptions::none() };
    let own = DevStack::start(own).await.unwrap();
    let server = own.postgres().unwrap().pid().await.unwrap();
    let user = fs::metadata(format!("/proc/{server}")).unwrap();
    for (number, form) in FORMS.into_iter().enumerate() {
        let database = Database::create_on(&own).await;
        let small = disk.join(number.to_string());
        fs::create_dir(&small).unwrap();
        chown(&small, Some(user.uid()), Some(user.gid())).unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "create tablespace small_{number} location '{}'",
            small.display()
        )))
        .execute(&database.pool)
        .await
        .unwrap();
        execute(&database, &format!("alter table bank.accounts set tablespace small_{number}")).await;
        let instance = Instance::start(&database, form).await;
        let ballast = disk.join("ballast");
        fill(&ballast);
        let events: Vec<_> = (0..300)
            .map(|n| event(&format!("account-{n}"), 0, &opened(&format!("{n}").repeat(500))))
            .collect();
        let before = database.number(ROLLED_BACK).await;
        let applied = instance.apply(&events);
        database.wait_until(ROLLED_BACK, |rolled_back| rolled_back > before).await;
        assert!(!applied.is_finished(), "{form:?}");
        fs::remove_file(&ballast).unwrap();
        let outcome = applied.await.unwrap();
        assert_eq!(outcome, Outcome { applied: 300, ..Outcome::default() }, "{form:?}");
        assert_eq!(database.number("select count(*) from bank.accounts").await, 300, "{form:?}");
        assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0, "{form:?}");
    }
    own.shutdown().await;
}

/// Writes a file until the disk is full.
fn fill(file: impl AsRef<OsStr>) {
    let mut file = fs::File::create(Path::new(file.as_ref())).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
}
