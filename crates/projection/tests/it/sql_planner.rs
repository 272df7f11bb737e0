//! The planner's settings for the statements of SQL files.

use aqueduct_projection::Outcome;
use sqlx::Row as _;

use crate::bank::{deposited, opened};
use crate::sql::{apply, directory, start, write};
use crate::support::{Database, event};

const SEEN: &str = "select concat_ws(' ', current_setting('enable_seqscan'), current_setting('enable_hashjoin'), \
                    current_setting('plan_cache_mode'), current_setting('jit'), current_setting('enable_mergejoin'))";

/// Users' statements are planned as the role, the database and the server say, the product's own functions as the product does.
#[tokio::test]
async fn statements_of_files_are_planned_with_the_settings_of_their_role() {
    let database = Database::create().await;
    let expected = database.texts(SEEN).await;
    let directory = directory();
    let deposit = format!("insert into bank.seen select 'file', ({SEEN}) from $events e");
    write(directory.path(), "deposited.sql", &deposit);
    // At the end of the transaction, after the statements.
    let setup = format!(
        "create table bank.seen (by text, settings text);
         create function bank.see() returns trigger language plpgsql as
             $$ begin insert into bank.seen values ('end', ({SEEN})); return null; end $$;
         create constraint trigger at_end after insert on bank.accounts deferrable initially deferred
             for each row execute function bank.see();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(&database.pool).await.unwrap();
    let batches = start(&database, directory.path()).await.unwrap();

    // One event of its type alone, then several at once.
    let events = [
        event("account-1", 0, &opened("Paris")),
        event("account-2", 0, &deposited(1)),
        event("account-1", 1, &deposited(1)),
        event("account-2", 1, &deposited(1)),
    ];
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 4, ..Outcome::default() });
    let of_files = database.texts("select distinct settings from bank.seen where by = 'file'").await;
    assert_eq!(of_files, expected);
    let at_end = database.texts("select settings from bank.seen where by = 'end'").await;
    assert_eq!(at_end, ["off off force_generic_plan off off"]);
}

/// `data` is parsed once for an event, however many fields of it a statement reads, and nothing else is sent.
#[tokio::test]
async fn the_data_of_an_event_is_parsed_once() {
    let database = Database::create().await;
    let directory = directory();
    let deposit = "insert into bank.parts
                   select e.data->>'amount', e.data->>'branch', e.data->>'note' from $events e where e.data->>'amount' > ''";
    write(directory.path(), "deposited.sql", deposit);
    // The statement as the projection has sent it.
    let setup = "create table bank.parts (amount text, branch text, note text);
                 create table bank.sent (sql text);
                 create function bank.keep_statement() returns trigger language plpgsql as
                     $$ begin insert into bank.sent values (current_query()); return null; end $$;
                 create trigger sent after insert on bank.parts for each statement execute function bank.keep_statement()";
    sqlx::raw_sql(setup).execute(&database.pool).await.unwrap();
    let batches = start(&database, directory.path()).await.unwrap();
    let events = [event("account-1", 0, &deposited(1)), event("account-2", 0, &deposited(2))];
    assert_eq!(apply(&batches, &events).await, Outcome { applied: 2, ..Outcome::default() });
    let sent = database.texts("select sql from bank.sent").await;
    assert_eq!(sent.len(), 1, "once for both events");

    let mut connection = database.pool.acquire().await.unwrap();
    let prepare = format!("set plan_cache_mode = force_generic_plan; prepare sent as {}", sent[0]);
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let plan =
        sqlx::raw_sql("explain (verbose) execute sent (null)").fetch_all(&mut *connection).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    assert_eq!(plan.join("\n").matches("::jsonb").count(), 1, "{plan:#?}");
}
