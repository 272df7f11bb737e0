//! Projections that are SQL files, through inbox, statements and transaction.

use std::fs;
use std::path::Path;

use aqueduct_projection::{BatchProcessor, Outcome, Projection, SqlProjection};
use aqueduct_schema::TopicSchemas;

use crate::bank::{Accounts, Closed, deposited, opened};
use crate::support::{Database, TestRecord, event, plain, records};

const DEFINITION: &str = r#"
name = "sql_accounts"
topics = ["bank.0"]
ignored = ["Audited"]

[types]
Opened = ["opened.sql"]
Deposited = ["deposited.sql"]
Closed = ["closed.sql"]
"#;

const OPENED: &str = "
insert into bank.accounts (id, branch, balance, \"order\")
select split_part(e.stream, '-', 2), e.data->>'branch', 0, e.revision || ' '
  from $events e";

const DEPOSITED: &str = "
-- Not for an account that does not exist: its event is parked.
update bank.accounts a
   set balance = a.balance + (e.data->>'amount')::numeric, \"order\" = a.\"order\" || e.revision || ' '
  from $events e
 where a.id = split_part(e.stream, '-', 2)";

const CLOSED: &str = "delete from bank.accounts a using $events e where a.id = split_part(e.stream, '-', 2);";

pub(crate) fn write(directory: &Path, file: &str, text: &str) {
    fs::write(directory.join(file), text).unwrap();
}

/// The accounts as SQL files.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("projection.toml", DEFINITION),
        ("opened.sql", OPENED),
        ("deposited.sql", DEPOSITED),
        ("closed.sql", CLOSED),
    ] {
        write(directory.path(), file, text);
    }
    directory
}

pub(crate) async fn start(database: &Database, directory: &Path) -> Result<BatchProcessor, String> {
    let projection = SqlProjection::load(directory).map_err(|error| error.to_string())?;
    let projection = Projection::sql(database.options(), plain(), projection, TopicSchemas::default());
    projection.batch_processor().await.map_err(|error| aqueduct_core::with_causes(&error))
}

pub(crate) async fn apply(batches: &BatchProcessor, events: &[TestRecord]) -> Outcome {
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    batches.apply(records(epoch, 0, events)).await.unwrap().unwrap()
}

const ROWS: &str = "select id || ': ' || coalesce(branch, '?') || ' ' || balance || ' after ' || \"order\" \
                    from bank.accounts order by 1";

/// Promise: the rows of a projection do not depend on the way in which it is written.
#[tokio::test]
async fn the_rows_are_those_of_the_same_view_in_rust() {
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 1, &deposited(20)),
        event("account-1", 2, &deposited(-5)),
        event("account-3", 0, &opened("Oslo")),
        event("account-3", 1, &Closed {}.into()),
        // Delivered again.
        event("account-1", 1, &deposited(20)),
        // Revision 1 is missing.
        event("account-2", 2, &deposited(7)),
    ];
    let [in_sql, in_rust] = [Database::create().await, Database::create().await];
    let expected = Outcome { applied: 6, duplicates: 1, parked: 1, gaps: 1, ..Outcome::default() };

    let directory = directory();
    let batches = start(&in_sql, directory.path()).await.unwrap();
    assert_eq!(apply(&batches, &events).await, expected);
    let batches =
        Projection::view::<Accounts<0>>(in_rust.options(), plain()).batch_processor().await.unwrap();
    assert_eq!(apply(&batches, &events).await, expected);
    assert_eq!(in_sql.texts(ROWS).await, ["1: Paris 15 after 0 1 2 ", "2: Rome 0 after 0 "]);
    assert_eq!(in_sql.texts(ROWS).await, in_rust.texts(ROWS).await);
}

/// Promise: nothing is lost silently.
#[tokio::test]
async fn an_event_that_touches_no_row_is_parked_unless_the_file_allows_it() {
    let directory = directory();
    let events = [
        event("account-1", 0, &deposited(20)),
        event("account-1", 1, &deposited(5)),
        event("account-2", 0, &opened("Rome")),
    ];
    let database = Database::create().await;
    let batches = start(&database, directory.path()).await.unwrap();
    let outcome = apply(&batches, &events).await;
    assert_eq!(outcome, Outcome { applied: 1, parked: 2, ..Outcome::default() });
    assert_eq!(database.texts(ROWS).await, ["2: Rome 0 after 0 "]);
    let reasons = database.texts("select reason from aqueduct.parked order by id").await;
    assert!(reasons[0].contains("deposited.sql: the event touched no row"), "{reasons:?}");

    write(directory.path(), "deposited.sql", &format!("-- rows: any\n{DEPOSITED}"));
    let database = Database::create().await;
    let batches = start(&database, directory.path()).await.unwrap();
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 3, ..Outcome::default() });
}

#[tokio::test]
async fn a_value_that_a_column_does_not_take_parks_its_event_alone() {
    let database = Database::create().await;
    let batches = start(&database, directory().path()).await.unwrap();
    let mut no_number = event("account-2", 1, &deposited(1));
    no_number.payload = br#"{"amount":"much"}"#.to_vec();
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &opened("Rome")),
        event("account-1", 1, &deposited(9_007_199_254)),
        no_number,
        event("account-2", 2, &deposited(1)),
    ];
    let outcome = apply(&batches, &events).await;
    assert_eq!(outcome, Outcome { applied: 2, parked: 3, ..Outcome::default() });
    let reasons = database.texts("select stream || ' ' || reason from aqueduct.parked order by id").await;
    assert!(reasons.iter().any(|it| it.starts_with("account-1 ") && it.contains("accounts_balance_check")));
    assert!(reasons.iter().any(|it| it.starts_with("account-2 ") && it.contains("much")), "{reasons:?}");
    assert_eq!(database.texts(ROWS).await, ["1: Paris 0 after 0 ", "2: Rome 0 after 0 "]);
}

#[tokio::test]
async fn a_statement_that_postgres_refuses_is_named_with_its_line_before_an_event_is_read() {
    let database = Database::create().await;
    for (text, expected) in [
        (DEPOSITED.replace("bank.accounts", "bank.missing"), ["deposited.sql, line 3", "bank.missing"]),
        (DEPOSITED.replace("'amount')::numeric", "'amount')::numeric + colour"), ["line 4", "colour"]),
        (DEPOSITED.replace("split_part", "split_parts"), ["line 6", "split_parts"]),
        (DEPOSITED.replace("update", "select"), ["line 3", "begins with"]),
        (DEPOSITED.replace("$events e", "$events (e)"), ["line 5", "must have an alias"]),
    ] {
        let directory = directory();
        write(directory.path(), "deposited.sql", &text);
        let Err(problem) = start(&database, directory.path()).await else { panic!("{text}") };
        assert!(expected.iter().all(|part| problem.contains(part)), "{problem}");
    }
}

fn assert_refused(started: Result<(), String>, expected: &str) {
    let problem = started.unwrap_err();
    assert!(problem.contains(expected), "{problem}");
}

/// What a projection's directory needs is created by its migrations, once; a changed one is an error.
#[tokio::test]
async fn migrations_run_once_and_must_not_change() {
    let database = Database::create().await;
    let directory = directory();
    let projection = SqlProjection::load(directory.path()).unwrap();
    assert_eq!(projection.migrate(&database.pool).await.unwrap(), 0);

    let migrations = directory.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    write(&migrations, "0001_tables.sql", "create table bank.notes (id text primary key);");
    assert_eq!(projection.migrate(&database.pool).await.unwrap(), 1);
    assert_eq!(projection.migrate(&database.pool).await.unwrap(), 1, "it does not run again");
    write(&migrations, "0002_more.sql", "alter table bank.notes add column text text;");
    let starts = async || start(&database, directory.path()).await.map(drop);
    assert_refused(starts().await, "migration 2 (more) was not run: run `aqueduct setup`");
    assert_eq!(projection.migrate(&database.pool).await.unwrap(), 2);
    assert_eq!(database.number("select count(text) from bank.notes").await, 0);
    starts().await.unwrap();

    write(&migrations, "tables.sql", "create table bank.never (id text);");
    let unnumbered = projection.migrate(&database.pool).await.unwrap_err();
    assert!(unnumbered.to_string().contains("tables.sql: name it <number>_<name>.sql"), "{unnumbered:?}");
    fs::remove_file(migrations.join("tables.sql")).unwrap();

    write(&migrations, "0001_tables.sql", "create table bank.notes (id uuid primary key);");
    let changed = projection.migrate(&database.pool).await.unwrap_err();
    assert!(aqueduct_core::with_causes(&changed).contains("migration 1"), "{changed:?}");
    assert_refused(starts().await, "the file of migration 1 (tables) has changed since it was run");
}

/// Counts the statements that write the accounts.
const COUNT_STATEMENTS: &str = "
    create table bank.statements (kind text);
    create function bank.count_statement() returns trigger language plpgsql as
        $$ begin insert into bank.statements values (tg_op); return null; end $$;
    create trigger statements after insert or update or delete on bank.accounts
        for each statement execute function bank.count_statement()";

/// Events of different streams are applied at once, those of one stream one after the other.
#[tokio::test]
async fn a_batch_takes_a_statement_for_each_file_and_step() {
    let database = Database::create().await;
    let batches = start(&database, directory().path()).await.unwrap();
    sqlx::raw_sql(COUNT_STATEMENTS).execute(&database.pool).await.unwrap();
    let mut events = Vec::new();
    for stream in ["account-1", "account-2", "account-3"] {
        events.push(event(stream, 0, &opened("Paris")));
        events.extend([1, 2].map(|revision| event(stream, revision, &deposited(revision))));
        events.push(event(stream, 3, &Closed {}.into()));
    }
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 12, ..Outcome::default() });
    assert!(database.texts(ROWS).await.is_empty());
    let statements = database.texts("select kind from bank.statements").await;
    assert_eq!(statements, ["INSERT", "UPDATE", "UPDATE", "DELETE"]);
}

const TOTALS: &str = "create table bank.totals (branch text primary key, amount numeric not null);
                      create table bank.parts (stream text, part text);";

/// A projection of the totals with one file for deposits.
async fn totals(database: &Database, deposited: &str) -> BatchProcessor {
    let directory = directory();
    write(directory.path(), "deposited.sql", deposited);
    sqlx::raw_sql(TOTALS).execute(&database.pool).await.unwrap();
    start(database, directory.path()).await.unwrap()
}

/// Promise: nothing is lost silently. `update` takes one of two events that are about the same row.
#[tokio::test]
async fn events_of_different_streams_about_one_row_all_count() {
    let deposits = [
        event("account-paris-1", 0, &deposited(20)),
        event("account-paris-2", 0, &deposited(5)),
        event("account-rome-1", 0, &deposited(1)),
    ];
    for statement in [
        "update bank.totals t set amount = t.amount + (e.data->>'amount')::numeric
           from $events e where t.branch = split_part(e.stream, '-', 2)",
        "insert into bank.totals as t select split_part(e.stream, '-', 2), (e.data->>'amount')::numeric from $events e
             on conflict (branch) do update set amount = t.amount + excluded.amount",
        // One event touches two rows, and another one of them.
        "update bank.totals t set amount = t.amount + (e.data->>'amount')::numeric
           from $events e where t.branch in (split_part(e.stream, '-', 2), e.data->>'none')",
        // Another part writes, and what is seen of the main part says nothing of it.
        "with u as (update bank.totals t set amount = t.amount + (e.data->>'amount')::numeric
                      from $events e where t.branch = split_part(e.stream, '-', 2) returning e.stream)
         -- rows: any
         insert into bank.parts select stream, '' from u",
        "with insert as (select 1)
         -- rows: any
         update bank.totals t set amount = t.amount + (e.data->>'amount')::numeric
           from $events e where t.branch = split_part(e.stream, '-', 2)",
        "merge into bank.totals t using $events e on t.branch = split_part(e.stream, '-', 2)
          when matched then update set amount = t.amount + (e.data->>'amount')::numeric",
    ] {
        let database = Database::create().await;
        let batches = totals(&database, statement).await;
        sqlx::raw_sql("insert into bank.totals values ('paris', 0), ('rome', 0)")
            .execute(&database.pool)
            .await
            .unwrap();
        let outcome = apply(&batches, &deposits).await;
        assert_eq!(outcome, Outcome { applied: 3, ..Outcome::default() }, "{statement}");
        let rows = database.texts("select branch || ' ' || amount from bank.totals order by 1").await;
        assert_eq!(rows, ["paris 25", "rome 1"], "{statement}");
    }
}

/// Promise: nothing is lost silently. Two rows of one event are not taken for a row of each of two.
#[tokio::test]
async fn an_event_without_a_row_is_found_although_another_makes_two() {
    for statement in [
        "insert into bank.parts select e.stream, part from $events e, jsonb_array_elements_text(e.data->'parts') part",
        "insert into bank.parts select e.stream, jsonb_array_elements_text(e.data->'parts') from $events e",
    ] {
        let database = Database::create().await;
        let batches = totals(&database, statement).await;
        let with_parts = |stream: &str, parts: &str| {
            let mut event = event(stream, 0, &deposited(1));
            event.payload = format!(r#"{{"parts":{parts}}}"#).into_bytes();
            event
        };
        let events = [with_parts("account-1", r#"["a","b"]"#), with_parts("account-2", "[]")];
        let outcome = apply(&batches, &events).await;
        assert_eq!(outcome, Outcome { applied: 1, parked: 1, ..Outcome::default() }, "{statement}");
        let rows = database.texts("select stream || ' ' || part from bank.parts order by 1").await;
        assert_eq!(rows, ["account-1 a", "account-1 b"], "{statement}");
    }
}

/// A statement that is wrong for every event is not taken for many bad events: nothing of the tenth stream's batch is parked.
#[tokio::test]
async fn a_statement_that_never_touches_a_row_halts_the_projection() {
    let database = Database::create().await;
    let batches = start(&database, directory().path()).await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let events: Vec<_> = (0..10).map(|n| event(&format!("account-{n}"), 0, &deposited(1))).collect();
    batches.apply(records(epoch, 0, &events[..9])).await.unwrap();
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 9);
    let halted = batches.apply(records(epoch, 9, &events[9..])).await.unwrap_err();
    let halted = aqueduct_core::with_causes(&halted);
    assert!(halted.contains("10 consecutive streams") && halted.contains("deposited.sql"), "{halted}");
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 9);
}

/// Where each event must be applied, the first that cannot be stops all.
#[tokio::test]
async fn with_on_failure_halt_an_event_halts_the_projection_instead_of_being_parked() {
    let database = Database::create().await;
    let directory = directory();
    write(directory.path(), "projection.toml", &format!("on_failure = \"halt\"\n{DEFINITION}"));
    let batches = start(&database, directory.path()).await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let mut no_number = event("account-1", 1, &deposited(1));
    no_number.payload = br#"{"amount":"much"}"#.to_vec();
    let unknown = TestRecord { event_type: "Renamed".to_owned(), ..event("account-3", 0, &deposited(1)) };
    for (at_fault, expected) in [
        (event("account-2", 0, &deposited(20)), "deposited.sql: the event touched no row"),
        (no_number, "much"),
        (unknown, "event type Renamed is unknown to projection sql_accounts"),
    ] {
        let events = [event("account-1", 0, &opened("Paris")), at_fault];
        let halted = batches.apply(records(epoch, 0, &events)).await.unwrap_err();
        let halted = aqueduct_core::with_causes(&halted);
        assert!(halted.contains("record bank.0/0@1") && halted.contains("on_failure"), "{halted}");
        assert!(halted.contains(expected), "{halted}");
        assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
        assert!(database.texts(ROWS).await.is_empty(), "nothing of the batch is committed");
    }
    // The event that is missing may still come.
    let outcome = batches.apply(records(epoch, 0, &[event("account-4", 1, &deposited(1))])).await;
    assert_eq!(outcome.unwrap(), Some(Outcome { parked: 1, gaps: 1, ..Outcome::default() }));
}
