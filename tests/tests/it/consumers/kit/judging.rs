//! What the conformance kit judges, and what it reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aqueduct_conformance::{Property, Verdict};
use serde_json::Value;

use crate::consumers::kit::{definition, test, text};
use crate::consumers::{PYTHON, python};
use crate::support::{BINARY, ROOT};

/// A kit file for the template in a folder of its own, with this migration and these further lines.
fn other_definition(folder: &Path, migration: &str, lines: &str) -> PathBuf {
    let migrations = folder.join("migrations");
    fs::create_dir_all(&migrations).unwrap();
    for file in fs::read_dir(PYTHON.folder().join("migrations")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), migrations.join(file.file_name())).unwrap();
    }
    fs::write(migrations.join("0002_other.sql"), migration).unwrap();
    let consumers = Path::new(ROOT).join("tests/consumers").canonicalize().unwrap();
    let kit = fs::read_to_string(definition(&PYTHON)).unwrap();
    let kit = kit.replace("../histories", consumers.join("histories").to_str().unwrap());
    let kit = kit.replace("../../../schemas", consumers.join("../../schemas").to_str().unwrap());
    let path = folder.join("consumer-test.toml");
    fs::write(&path, format!("{kit}{lines}")).unwrap();
    path
}

/// Puts other lines in place of the history in a kit file.
fn replace_history(definition: &Path, lines: &str) {
    let kit = fs::read_to_string(definition).unwrap();
    let kit: Vec<&str> = kit.lines().filter(|line| !line.starts_with("history")).collect();
    fs::write(definition, format!("{}\n{lines}\n", kit.join("\n"))).unwrap();
}

/// Promise: the kit judges nothing by columns that differ without a fault.
#[test]
fn a_column_that_differs_between_two_runs_must_be_excluded() {
    let folder = tempfile::tempdir().unwrap();
    let column = "alter table shop_python.orders add column seen_at timestamptz default clock_timestamp()";
    let tested = |lines: &str| {
        let path = other_definition(folder.path(), column, lines);
        test(&path, &python::command_line(), 1, &[Property::LargeBatch])
    };
    let problem = tested("").unwrap_err().to_string();
    assert!(problem.contains("shop_python.orders.seen_at; if that is intended"), "{problem}");

    let report = tested("excluded_columns = [\"shop_python.orders.seen_at\"]\n").unwrap();
    assert_eq!(report.properties[0].verdict, Verdict::Passed, "{}", text(&report));
    assert!(text(&report).contains("not compared: shop_python.orders.seen_at"), "{}", text(&report));
}

#[test]
fn a_consumer_whose_idle_condition_is_not_met_is_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_definition(folder.path(), "", "idle = \"select false\"\nidle_timeout_seconds = 15\n");
    let problem = test(&path, &python::command_line(), 1, &[Property::LargeBatch]).unwrap_err().to_string();
    assert!(problem.contains("the idle condition was not met for 15s"), "{problem}");
}

/// Promise: what the kit cannot do in one trial does not take the others' results away, and all forms of the command's report
/// say so.
#[test]
fn an_error_of_the_kit_leaves_one_property_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    // The kit creates a schema of this name, where it slows down commits.
    let path = other_definition(folder.path(), "create schema conformance", "");
    let (json, junit) = (folder.path().join("report.json"), folder.path().join("report.xml"));
    let mut command = Command::new(BINARY);
    command.args(["consumer", "test", "--property", "kill", "--property", "large-batch", "--kit"]).arg(&path);
    command.arg("--json").arg(&json).arg("--junit").arg(&junit).arg("--").args(python::command_line());
    let output = command.output().unwrap();
    let text =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not judged kill "), "{text}");
    assert!(text.contains("1 passed, 0 failed, 1 not judged"), "{text}");
    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let kill = &report["properties"][0];
    assert_eq!((&kill["property"], &kill["verdict"]), (&"kill".into(), &"not_judged".into()), "{report:#}");
    let problem = kill["failure"]["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("the kit failed, not the consumer: postgres: could not slow down the commits"),
        "{problem}"
    );
    // Each form of the report lists what is not tested.
    assert!(report["not_tested"].as_array().unwrap().len() > 5, "{report:#}");
    assert!(text.contains("\n    a fold that is wrong in itself"), "{text}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("name=\"kill\""), "{junit}");
    assert!(junit.contains("<system-out>not tested: a fold that is wrong in itself"), "{junit}");
}

#[test]
fn a_consumer_that_does_not_end_with_success_is_found() {
    let python = python::command_line();
    // The shell continues when the signal has ended the program that it waits for.
    let script = format!("trap '' TERM; {} & wait $!; wait $!; exit 3", python.join(" "));
    let shell = ["sh".to_owned(), "-c".to_owned(), script];
    let problem = test(&definition(&PYTHON), &shell, 1, &[Property::LargeBatch]).unwrap_err().to_string();
    assert!(problem.contains("did not end with exit status 0 when SIGTERM asked it to stop"), "{problem}");
}

#[test]
fn what_a_short_history_leaves_out_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_definition(folder.path(), "", "");
    let history = fs::read_to_string(PYTHON.folder().join("../histories/shop-orders.jsonl")).unwrap();
    let mut streams: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in history.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let stream = event["stream"].as_str().unwrap().to_owned();
        if !streams.contains(&stream) && streams.len() < 12 {
            streams.push(stream.clone());
        }
        if streams.contains(&stream) {
            lines.push(line);
        }
    }
    let short = folder.path().join("history.jsonl");
    fs::write(&short, lines.join("\n")).unwrap();
    replace_history(&path, "history = \"history.jsonl\"");
    let report = test(&path, &python::command_line(), 1, &[Property::Poison]).unwrap();
    let poison = &report.properties[0];
    assert_eq!(poison.verdict, Verdict::Passed, "{}", text(&report));
    let limitation = poison.limitation.as_deref().unwrap_or_default();
    assert!(limitation.contains("of the 8 kinds of damage: the history has too few streams"), "{limitation}");
}

const GENERATED: &str = "
[[generated]]
topic = \"shop.orders\"
category = \"order\"
begins = [\"OrderCreated\"]
continues = [\"OrderConfirmed\", \"OrderRejected\", \"OrderCancelled\"]
id = \"orderId\"
longest = 4

[[generated]]
topic = \"shop.orders\"
category = \"return\"
begins = [\"ReturnReceived\"]
id = \"returnId\"
streams = 10
";

/// Promise: a history that is generated from the schemas shows what one from a file shows.
#[test]
fn a_generated_history_is_applied_and_shows_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_definition(folder.path(), "", "");
    replace_history(&path, GENERATED);
    let report = test(&path, &python::command_line(), 1, &[Property::Gap, Property::Poison]).unwrap();
    assert!(report.is_passed(), "{}", text(&report));
    assert!(report.events > 40, "{}", text(&report));
    let program = Path::new(ROOT).join("tests/consumers/planted/python/ignores_gaps.py");
    let report = test(&path, &python::command_line_of(&program), 1, &[Property::Gap]).unwrap();
    assert_eq!(report.properties[0].verdict, Verdict::Failed, "{}", text(&report));
}
