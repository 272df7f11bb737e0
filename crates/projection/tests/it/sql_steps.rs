//! Which statements of SQL files run once for the events of a step, and that it makes no difference to the rows.

use aqueduct_projection::{BatchProcessor, Outcome};

use crate::bank::deposited;
use crate::sql::{apply, directory, start, write};
use crate::support::{Database, TestRecord, event, records};

const TABLES: &str = "
    create table bank.totals (branch text primary key, amount numeric not null, note text);
    create table bank.parts (branch text, amount numeric);
    create table bank.statements (kind text);
    create function bank.count_statement() returns trigger language plpgsql as
        $$ begin insert into bank.statements values (tg_op); return null; end $$;
    insert into bank.totals values ('paris', 0), ('rome', 0), ('oslo', 0);";

/// Counts the statements of the files.
const COUNT: &str = "
    do $$ declare t regclass; begin
        for t in select c.oid from pg_class c where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p')
                     and not c.relispartition and c.relname in ('totals', 'parts', 'target') loop
            execute format('create trigger counted after insert or update or delete on %s
                            for each statement execute function bank.count_statement()', t);
        end loop;
    end $$";

const ROWS: &str = "select concat_ws(' ', 'total', t.*) from bank.totals t union all
                    select concat_ws(' ', 'part', p.*) from bank.parts p order by 1";

const BY_KEY: &str = "update bank.totals t set amount = t.amount + (e.data->>'amount')::numeric
                        from $events e where t.branch = split_part(e.stream, '-', 2)";

/// One event of each of three streams, each about another row.
fn deposits() -> Vec<TestRecord> {
    let branches = [("paris", 20), ("rome", 5), ("oslo", 1)];
    branches.map(|(branch, amount)| event(&format!("account-{branch}-1"), 0, &deposited(amount))).into()
}

/// A projection whose files for a deposit are these.
async fn projection(setup: &str, files: &[&str]) -> (Database, BatchProcessor) {
    let database = Database::create().await;
    sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(&database.pool).await.unwrap();
    sqlx::raw_sql(COUNT).execute(&database.pool).await.unwrap();
    let directory = directory();
    let names: Vec<_> = (0..files.len()).map(|n| format!("{n}.sql")).collect();
    names.iter().zip(files).for_each(|(name, text)| write(directory.path(), name, text));
    let definition = format!("name = \"totals\"\ntopics = [\"bank.0\"]\n[types]\nDeposited = {names:?}");
    write(directory.path(), "projection.toml", &definition);
    let batches = start(&database, directory.path()).await.unwrap();
    (database, batches)
}

/// Applies a batch, and the same events one by one in another database, which must have the same effect. Returns how many
/// statements the batch took.
async fn statements_of_batch(setup: &str, files: &[&str], events: &[TestRecord]) -> i64 {
    let (at_once, batches) = projection(setup, files).await;
    let outcome = apply(&batches, events).await;
    let (one_by_one, batches) = projection(setup, files).await;
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let mut expected = Outcome::default();
    for (offset, event) in (0..).zip(events) {
        let of_one =
            batches.apply(records(epoch, offset, std::slice::from_ref(event))).await.unwrap().unwrap();
        expected.applied += of_one.applied;
        expected.parked += of_one.parked;
    }
    assert_eq!(outcome, expected, "{setup} {files:?}");
    assert_eq!(at_once.texts(ROWS).await, one_by_one.texts(ROWS).await, "{setup} {files:?}");
    at_once.number("select count(*) from bank.statements").await
}

/// Promise: a batch takes as many statements as it has files and steps, where each event finds at most one row.
#[tokio::test]
async fn an_update_by_a_unique_key_runs_once_for_a_step() {
    let and = |condition: &str| format!("{BY_KEY} and {condition}");
    let set = |column: &str| BY_KEY.replace(" set ", &format!(" set {column}, "));
    for (setup, statement) in [
        ("", BY_KEY.to_owned()),
        ("", and("t.amount < 100")),
        ("", set("note = (e.revision is distinct from 1)::text")),
        ("", set("branch = t.branch || ' moved'")),
        ("", format!("with parts as (select * from bank.parts) {BY_KEY}")),
        (
            "create table bank.rates (rate int); insert into bank.rates values (7)",
            set("note = (select rate from bank.rates)"),
        ),
        (
            "alter table bank.totals drop constraint totals_pkey; create unique index on bank.totals (upper(branch))",
            BY_KEY.replace(
                "t.branch = split_part(e.stream, '-', 2)",
                "upper(t.branch) = upper(split_part(e.stream, '-', 2))",
            ),
        ),
    ] {
        assert_eq!(statements_of_batch(setup, &[&statement], &deposits()).await, 1, "{setup} {statement}");
    }
}

#[tokio::test]
async fn a_type_with_several_files_takes_a_statement_for_each() {
    let note = "insert into bank.parts select split_part(e.stream, '-', 2), 1 from $events e";
    assert_eq!(statements_of_batch("", &[BY_KEY, note], &deposits()).await, 2);
}

/// Promise: nothing is lost silently. What cannot be proven runs event by event.
#[tokio::test]
async fn an_update_that_may_touch_several_rows_of_an_event_runs_event_by_event() {
    let without_key = "alter table bank.totals drop constraint totals_pkey;";
    for (setup, statement) in [
        (without_key.to_owned(), BY_KEY.to_owned()),
        (format!("{without_key} create index on bank.totals (branch)"), BY_KEY.to_owned()),
        (
            format!("{without_key} create unique index on bank.totals (branch) where amount < 100"),
            BY_KEY.to_owned(),
        ),
        // Unique among what is found, but Postgres does not use a partial index for the proof.
        (
            format!("{without_key} create unique index on bank.totals (branch) where amount < 100"),
            format!("{BY_KEY} and t.amount < 100"),
        ),
        (format!("{without_key} create unique index on bank.totals (branch, amount)"), BY_KEY.to_owned()),
        (format!("{without_key} alter table bank.totals add unique (branch) deferrable"), BY_KEY.to_owned()),
        (
            String::new(),
            BY_KEY.replace("= split_part(e.stream, '-', 2)", "in (split_part(e.stream, '-', 2), 'x')"),
        ),
        (String::new(), BY_KEY.replace("= split_part", ">= split_part")),
        (String::new(), format!("{BY_KEY} or t.branch = 'x'")),
        (
            String::new(),
            BY_KEY
                .replace("$events e", "$events e join bank.accounts a on a.id <> e.stream")
                .replace("where", "where a.id is null or"),
        ),
        (String::new(), BY_KEY.replace("$events e", "$events e, generate_series(1, 1) g")),
        (String::new(), format!("{BY_KEY} returning t.branch")),
    ] {
        let statements = statements_of_batch(&setup, &[&statement], &deposits()).await;
        assert!(statements >= 3 || statements == 0, "{setup} {statement}: {statements}");
    }
}

/// Promise: the rows are those of the events one by one, also where an event's effect depends on what another has written.
#[tokio::test]
async fn an_event_that_may_see_the_effect_of_another_runs_alone() {
    let set = |value: &str| BY_KEY.replace("t.amount + ", &format!("({value}) + "));
    let sum = "select sum(amount) from bank.totals";
    let function = |volatility: &str| {
        format!("create function bank.total() returns numeric language sql {volatility} as '{sum}'")
    };
    let plpgsql = format!(
        "create function bank.total() returns numeric language plpgsql stable as $$ begin return ({sum}); end $$"
    );
    let insert = "insert into bank.parts select split_part(e.stream, '-', 2), {} from $events e";
    let insert = |value: &str| insert.replace("{}", value);
    let delete = "-- rows: any
                  delete from bank.totals t using $events e where t.branch = split_part(e.stream, '-', 2)
                     and (select count(*) from bank.totals) > 2";
    let cascade = "alter table bank.parts add foreign key (branch) references bank.totals on delete cascade;
                   insert into bank.parts values ('paris', 1), ('rome', 1);";
    for (setup, files) in [
        (String::new(), vec![set(sum)]),
        (
            "create view bank.sums as select sum(amount) as s from bank.totals".to_owned(),
            vec![set("select s from bank.sums")],
        ),
        (function("stable"), vec![set("bank.total()")]),
        (function("volatile"), vec![set("\"bank\".\"total\" ()")]),
        (plpgsql.clone(), vec![set("bank.total()")]),
        (
            format!("{plpgsql}; create view bank.sums as select bank.total() as s"),
            vec![set("select s from bank.sums")],
        ),
        (String::new(), vec![format!("-- rows: any\n{}", insert("(select count(*) from bank.parts)"))]),
        (
            String::new(),
            vec![format!("-- rows: any\n{} where not exists (select from bank.parts)", insert("1"))],
        ),
        (
            format!(
                "{}; alter table bank.parts add n numeric default bank.total()",
                plpgsql.replace("totals", "parts")
            ),
            vec![insert("1").replace("bank.parts", "bank.parts (branch, amount)")],
        ),
        (String::new(), vec![delete.to_owned()]),
        (cascade.to_owned(), vec![delete.replace("bank.totals) > 2", "bank.parts) > 1")]),
        (String::new(), vec![insert("1"), set("select count(*) from bank.parts")]),
        (String::new(), vec![set("select count(*) from bank.parts"), insert("1")]),
    ] {
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let statements = statements_of_batch(&setup, &files, &deposits()).await;
        assert!(statements >= 3, "{setup} {files:?}: {statements}");
    }
}

/// A trigger, a rule or a policy may make something else of a row than its statement says.
#[tokio::test]
async fn a_table_that_is_not_plain_is_written_event_by_event() {
    let on_target = BY_KEY.replace("bank.totals", "bank.target");
    let trigger = |kind: &str| {
        format!(
            "create function bank.change() returns trigger language plpgsql as
                 $$ begin new.note := (select sum(amount) from bank.totals); return new; end $$;
             create trigger change {kind} execute function bank.change()"
        )
    };
    let inheriting = "create table bank.target (branch text primary key, amount numeric);
                      insert into bank.target values ('paris', 0), ('rome', 0), ('oslo', 0);
                      create table bank.child () inherits (bank.target); insert into bank.child values ('rome', 3)";
    let partitioned =
        "create table bank.target (branch text primary key, amount numeric) partition by list (branch);
                       create table bank.first partition of bank.target default;
                       insert into bank.target values ('paris', 0), ('rome', 0), ('oslo', 0)";
    for (setup, statement) in [
        (trigger("before update on bank.totals for each row"), BY_KEY),
        (trigger("after update on bank.totals for each row"), BY_KEY),
        (
            "create trigger summed after update on bank.totals referencing new table as changed for each statement
                 execute function bank.count_statement()"
                .to_owned(),
            BY_KEY,
        ),
        ("create rule also as on update to bank.totals do also insert into bank.parts values (new.branch, 1)".to_owned(), BY_KEY),
        ("alter table bank.totals enable row level security".to_owned(), BY_KEY),
        ("create view bank.target as select * from bank.totals".to_owned(), &*on_target),
        (inheriting.to_owned(), &*on_target),
        (partitioned.to_owned(), &*on_target),
    ] {
        let statements = statements_of_batch(&setup, &[statement], &deposits()).await;
        assert!(statements >= 3, "{setup} {statement}: {statements}");
    }
}

/// Two events of a step about one row: only one comes back, and the step runs event by event.
#[tokio::test]
async fn events_about_one_row_are_applied_one_by_one() {
    let mut events = deposits();
    events.push(event("account-rome-2", 0, &deposited(7)));
    assert_eq!(statements_of_batch("", &[BY_KEY], &events).await, 4);
    events.push(event("account-lima-1", 0, &deposited(7)));
    let any_rows = format!("-- rows: any\n{BY_KEY}");
    assert_eq!(statements_of_batch("", &[&any_rows], &events).await, 5);
}

/// The proof was made before: an index that is dropped while the projection runs invalidates it.
#[tokio::test]
async fn an_index_that_is_dropped_ends_the_proof() {
    let (database, batches) = projection("", &[BY_KEY]).await;
    sqlx::raw_sql(
        "alter table bank.totals drop constraint totals_pkey; insert into bank.totals values ('paris', 100);
         update bank.totals set branch = 'paris' where branch = 'rome'",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    sqlx::raw_sql("truncate bank.statements").execute(&database.pool).await.unwrap();
    let mut events = deposits();
    events.remove(1);
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 2, ..Outcome::default() });
    assert_eq!(database.number("select count(*) from bank.statements").await, 2);
    assert_eq!(
        database.texts(ROWS).await,
        ["total (oslo,1,)", "total (paris,120,)", "total (paris,20,)", "total (paris,20,)"]
    );
}
