//! A projection that is SQL files, in the processes of a user: from a line on standard input to a row.

use std::fs;

use crate::bank::{Bank, stop};
use crate::support::eventually;

const FILES: [(&str, &str); 3] = [
    (
        "projection.toml",
        "name = \"sql_balances\"\ntopics = [\"bank.accounts\"]\n\n[types]\nBooked = { version = 1, files = [\"booked.sql\"] }\n",
    ),
    (
        "booked.sql",
        "insert into bank_sql.balances as b (account, pence)
         select e.data->>'account', (e.data->>'pence')::bigint from $events e
             on conflict (account) do update set pence = b.pence + excluded.pence;",
    ),
    (
        "migrations/0001_balances.sql",
        "create schema bank_sql;
         create table bank_sql.balances (account text primary key, pence bigint not null);",
    ),
];

/// Promise: the rows of a projection do not depend on the way in which it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_projection_in_sql_has_the_rows_of_the_one_in_rust() {
    let bank = Bank::start("[projection]\ndirectory = \"projections\"\n").await;
    fs::create_dir_all(bank.path("projections/balances/migrations")).unwrap();
    for (file, text) in FILES {
        fs::write(bank.path("projections/balances").join(file), text).unwrap();
    }
    let set_up = bank.succeed(&["setup"], "");
    assert!(set_up.contains("tables of projections: sql_balances\n"), "{set_up}");
    let lines: String = (0..300).map(|n| format!("{} {}\n", n % 7, n + 1)).collect();
    bank.succeed(&["teller"], &lines);
    let mut processes = [bank.process(&["relay"]), bank.process(&["project"])];

    let pool = bank.postgres().await;
    eventually("both tables have all", async || {
        let sums = "select (select sum(pence) from bank.balances)::bigint, (select sum(pence) from bank_sql.balances)::bigint";
        let sums: (Option<i64>, Option<i64>) = sqlx::query_as(sums).fetch_one(&pool).await.unwrap();
        (sums == (Some(45_150), Some(45_150))).then_some(())
    })
    .await;
    let differences: i64 = sqlx::query_scalar(
        "select count(*) from ((table bank.balances except table bank_sql.balances)
                               union all (table bank_sql.balances except table bank.balances)) as different",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(differences, 0);
    for process in &mut processes {
        stop(process).await;
    }

    let findings = |bank: &Bank| String::from_utf8(bank.run(&["doctor"], "").stdout).unwrap();
    assert!(
        findings(&bank).contains("sql_balances: its statements fit the schemas and the tables"),
        "{}",
        findings(&bank)
    );

    // What a typing error does is said before anything is consumed.
    for (statement, expected) in [
        ("insert into bank_sql.missing select 1 from $events e", "bank_sql.missing"),
        (
            "insert into bank_sql.balances (account) select e.data->>'acount' from $events e",
            "bank.Booked has no field \"acount\", it has account, pence (version 1 of Booked)",
        ),
    ] {
        fs::write(bank.path("projections/balances/booked.sql"), statement).unwrap();
        let refused = bank.run(&["project"], "");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("booked.sql, line 1") && said.contains(expected), "{said}");
        let found = findings(&bank);
        assert!(found.contains("error    projections") && found.contains(expected), "{found}");
    }
}
