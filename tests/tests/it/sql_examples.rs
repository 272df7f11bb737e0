//! `projection test`: the examples of SQL projections.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{BINARY, ROOT};

/// A configuration without an address: Postgres is started for the examples.
fn configuration(projections: &Path) -> String {
    let projections = projections.display();
    format!("[projection]\ndirectory = '{projections}'\n[schemas]\ndirectory = '{ROOT}/schemas'\n")
}

fn test(folder: &Path, projections: &Path, names: &[&str]) -> Output {
    fs::write(folder.join("aqueduct.toml"), configuration(projections)).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["projection", "test"]).args(names).current_dir(folder);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_shops_projections_do_what_their_examples_say() {
    let folder = tempfile::tempdir().unwrap();
    let output = test(folder.path(), &Path::new(ROOT).join("crates/shop/projections"), &[]);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for example in [
        "customers/examples/registered",
        "orders/examples/lifecycle",
        "revenue/examples/one_day",
        "stock/examples/two_products",
    ] {
        let ok =
            said.lines().any(|line| line.starts_with("ok ") && line.ends_with(&format!("{example}.yaml")));
        assert!(ok, "{example}: {said}");
    }
    assert!(said.contains("4 examples, 0 failed"), "{said}");
}

const TOML: &str = "topics = ['shop.users']\n[types]\nUserRegistered = 1";
const SQL: &str = "insert into people (id, country, place)
                   select e.data->>'userId', e.data->>'country', (select count(*) from people) from $events e";
const TABLES: &str = "create table people (id text primary key, country text, place int)";

fn registered(stream: &str, user: &str) -> String {
    let data = format!("{{userId: '{user}', country: France, registeredAt: '2010-12-01T08:26:00'}}");
    format!("  - {{stream: {stream}, type: UserRegistered, data: {data}}}\n")
}

/// Each example that fails is shown with what is wrong.
#[test]
fn an_example_that_is_wrong_is_shown_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let projection = folder.path().join("projections/people");
    fs::create_dir_all(projection.join("examples")).unwrap();
    let write = |file: &str, text: &str| fs::write(projection.join(file), text).unwrap();
    write("projection.toml", TOML);
    write("UserRegistered.sql", SQL);
    write("examples/setup.sql", TABLES);
    let two = format!("given:\n{}{}", registered("user-1", "1"), registered("user-2", "2"));
    for (file, text) in [
        (
            "a.yaml",
            format!(
                "{two}expected:\n  people:\n    - {{id: '1', country: France}}\n    - {{id: '2', country: Spain}}\n"
            ),
        ),
        ("b.yaml", format!("{two}expected:\n  people:\n    - {{id: '1', colour: red}}\n")),
        (
            "c.yaml",
            "given:\n  - {stream: user-1, type: UserRegistered, data: {userId: 1}}\nexpected: {people: []}\n"
                .to_owned(),
        ),
        ("d.yaml", format!("{two}{}expected: {{people: []}}\n", registered("user-3", "1"))),
        ("e.yaml", "given: []\nexpected: {}\nthen: []\n".to_owned()),
        ("f.yaml", format!("{two}expected:\n  people: [{{place: 0}}, {{place: 1}}]\n")),
        (
            "g.yaml",
            "given:\n  - {stream: user-1, type: UserRenamed, data: {}}\nexpected: {people: []}\n".to_owned(),
        ),
        ("i.yaml", "given: []\nexpected: {}\n".to_owned()),
        // Between streams there is no order: the third event comes before the second.
        (
            "h.yaml",
            format!(
                "given:\n{}{}{}expected:\n  people: [{{id: '1', place: 0}}, {{id: '2', place: 1}}, {{id: '3', place: 2}}]\n",
                registered("user-1", "1"),
                registered("user-1", "2"),
                registered("user-3", "3")
            ),
        ),
    ] {
        write(&format!("examples/{file}"), &text);
    }
    let output = test(folder.path(), &folder.path().join("projections"), &["people"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "examples/a.yaml\n        as one batch: people\n        + {\"id\": \"2\", \"country\": \"France\"}\n        \
         - {\"id\": \"2\", \"country\": \"Spain\"}\n        event by event: people\n",
        "examples/b.yaml\n        as one batch: table people has no column colour\n",
        "examples/c.yaml\n        event 1 (UserRegistered of user-1): userId: ",
        "examples/d.yaml\n        as one batch: ",
        "        event by event: UserRegistered 0@user-3: ",
        "people_pkey",
        "unknown field `then`",
        "ok      ",
        "examples/g.yaml\n        event 1 (UserRenamed of user-1): the projection neither handles nor ignores its type\n",
        "examples/h.yaml\n        as one batch: people\n",
        "examples/i.yaml\n        expected names no table",
        "9 examples, 8 failed",
    ] {
        assert!(said.contains(part), "{said}\ndoes not contain\n{part}");
    }

    let of_h = said.split("examples/h.yaml").nth(1).unwrap().split("examples/i.yaml").next().unwrap();
    assert!(!of_h.contains("event by event"), "{said}");

    let unknown = test(folder.path(), &folder.path().join("projections"), &["persons"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no SQL projection persons"));
}
