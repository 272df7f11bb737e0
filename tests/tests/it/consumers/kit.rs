//! The conformance kit, on the template in Python and on programs with a defect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::consumers::{PYTHON, python};
use crate::support::{BINARY, ROOT, say};

fn definition() -> PathBuf {
    PYTHON.folder().join("consumer-test.toml")
}

/// Runs `aqueduct consumer test`.
fn run(definition: &Path, arguments: &[&str], program: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["consumer", "test", "--kit"]).arg(definition).args(arguments);
    command.arg("--").args(python::command_line_of(program)).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

fn texts(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Tests one property of a program with a defect, and returns what the report says of it.
#[track_caller]
fn found_in(defect: &str, property: &str) -> Value {
    let program = Path::new(ROOT).join("tests/consumers/planted").join(defect).with_extension("py");
    let folder = tempfile::tempdir().unwrap();
    let (json, junit) = (folder.path().join("report.json"), folder.path().join("report.xml"));
    let files = [json.to_str().unwrap(), junit.to_str().unwrap()];
    let arguments = ["--seed", "1", "--property", property, "--json", files[0], "--junit", files[1]];
    let output = run(&definition(), &arguments, &program);
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let found = &report["properties"][0];
    assert_eq!((&found["property"], &found["verdict"]), (&property.into(), &"failed".into()), "{report:#}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("failed     {property} ")));
    assert!(fs::read_to_string(junit).unwrap().contains(&format!("name=\"{property}\"")));
    found["failure"].clone()
}

/// Promise: the template does what the contract asks for.
#[test]
fn the_template_in_python_has_every_property() {
    let seed = std::env::var("KIT_SEED").unwrap_or_else(|_| fastrand::u32(..).to_string());
    say(&format!("conformance of the consumer in python: KIT_SEED={seed}"));
    let output = run(&definition(), &["--seed", &seed], &PYTHON.folder().join("consumer.py"));
    assert!(output.status.success(), "{}", texts(&output));
    let text = texts(&output);
    assert!(text.contains("11 passed, 0 failed"), "{text}");
    say(&text);
}

#[test]
fn a_consumer_that_reads_uncommitted_is_found() {
    let failure = found_in("reads_uncommitted", "aborted-transactions");
    let records = failure["records"].as_array().unwrap();
    assert!(
        records.iter().any(|it| it.as_str().unwrap().ends_with("in an aborted transaction")),
        "{failure:#}"
    );
}

#[test]
fn a_consumer_that_ignores_gaps_is_found() {
    let failure = found_in("ignores_gaps", "gap");
    assert!(!failure["rows"].as_array().unwrap().is_empty(), "{failure:#}");
}

#[test]
fn a_consumer_that_forgets_followers_is_found() {
    let failure = found_in("forgets_followers", "poison");
    assert!(!failure["rows"].as_array().unwrap().is_empty(), "{failure:#}");
}

#[test]
fn a_consumer_whose_dedup_is_outside_the_transaction_is_found() {
    let failure = found_in("dedup_outside_transaction", "kill");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_resumes_from_kafka_is_found() {
    let failure = found_in("resumes_from_kafka", "kill");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

/// Promise: the kit judges nothing by columns that differ without a fault.
#[test]
fn a_column_that_differs_between_two_runs_must_be_excluded() {
    let folder = tempfile::tempdir().unwrap();
    let migrations = PYTHON.folder().join("migrations");
    fs::create_dir(folder.path().join("migrations")).unwrap();
    for file in fs::read_dir(&migrations).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join("migrations").join(file.file_name())).unwrap();
    }
    let column = "alter table shop_python.orders add column seen_at timestamptz default clock_timestamp()";
    fs::write(folder.path().join("migrations/0002_seen_at.sql"), column).unwrap();
    let consumers = Path::new(ROOT).join("tests/consumers").canonicalize().unwrap();
    let kit = fs::read_to_string(definition()).unwrap();
    let kit = kit.replace("../histories", consumers.join("histories").to_str().unwrap());
    let kit = kit.replace("../../../schemas", consumers.join("../../schemas").to_str().unwrap());
    let path = folder.path().join("consumer-test.toml");
    fs::write(&path, &kit).unwrap();
    let program = PYTHON.folder().join("consumer.py");
    let arguments = ["--property", "large-batch"];
    let output = run(&path, &arguments, &program);
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    assert!(texts(&output).contains("shop_python.orders.seen_at; if that is intended"), "{}", texts(&output));

    fs::write(&path, format!("{kit}excluded_columns = [\"shop_python.orders.seen_at\"]\n")).unwrap();
    let output = run(&path, &arguments, &program);
    assert!(output.status.success(), "{}", texts(&output));
    assert!(texts(&output).contains("not compared: shop_python.orders.seen_at"), "{}", texts(&output));
}
