//! The conformance kit, on the templates and on programs with a defect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::consumers::{GO, JAVA, PYTHON, TYPESCRIPT, Template, python, typescript};
use crate::support::{BINARY, ROOT, say};

fn definition(template: &Template) -> PathBuf {
    template.folder().join("consumer-test.toml")
}

/// Each run starts servers and three trials at a time: several at once would make one another slow.
static RUNNING: Mutex<()> = Mutex::new(());

/// Runs `aqueduct consumer test`.
pub(super) fn run(definition: &Path, arguments: &[&str], command_line: &[String]) -> Output {
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(BINARY);
    command.args(["consumer", "test", "--kit"]).arg(definition).args(arguments);
    command.arg("--").args(command_line).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

pub(super) fn texts(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Tests one property of the template in Python with a defect, and returns what the report says of it.
#[track_caller]
fn found_in_python(defect: &str, property: &str) -> Value {
    let program = Path::new(ROOT).join("tests/consumers/planted/python").join(defect).with_extension("py");
    found_in(&PYTHON, &python::command_line_of(&program), property)
}

/// The same of the template in TypeScript.
#[track_caller]
fn found_in_typescript(defect: &str, property: &str) -> Value {
    found_in(&TYPESCRIPT, &typescript::command_line_of(&format!("planted/{defect}")), property)
}

#[track_caller]
fn found_in(template: &Template, command_line: &[String], property: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (json, junit) = (folder.path().join("report.json"), folder.path().join("report.xml"));
    let files = [json.to_str().unwrap(), junit.to_str().unwrap()];
    let arguments = ["--seed", "1", "--property", property, "--json", files[0], "--junit", files[1]];
    let output = run(&definition(template), &arguments, command_line);
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let found = &report["properties"][0];
    assert_eq!((&found["property"], &found["verdict"]), (&property.into(), &"failed".into()), "{report:#}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("failed     {property} ")));
    assert!(fs::read_to_string(junit).unwrap().contains(&format!("name=\"{property}\"")));
    found["failure"].clone()
}

/// All properties of the kit.
pub(super) const PROPERTIES: [&str; 14] = [
    "duplicates",
    "replay",
    "gap",
    "late-arrival",
    "aborted-transactions",
    "poison",
    "unknown-schema",
    "large-batch",
    "kill",
    "two-instances",
    "freeze",
    "commit-unknown",
    "topic-recreated",
    "postgres-restart",
];

/// Tests five properties of a consumer, drawn by a seed; all of them take minutes.
#[track_caller]
pub(super) fn has_drawn_properties(name: &str, definition: &Path, command_line: &[String]) {
    let seed = std::env::var("KIT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u32(..).into());
    say(&format!("conformance of the consumer in {name}: KIT_SEED={seed}"));
    let drawn = fastrand::Rng::with_seed(seed).choose_multiple(PROPERTIES, 5);
    has_properties(definition, command_line, seed, &drawn);
}

/// Promise: a consumer does what the contract asks for.
#[track_caller]
pub(super) fn has_properties(definition: &Path, command_line: &[String], seed: u64, properties: &[&str]) {
    let seed = seed.to_string();
    let mut arguments = vec!["--seed", &seed];
    arguments.extend(properties.iter().flat_map(|property| ["--property", property]));
    let output = run(definition, &arguments, command_line);
    let text = texts(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("{} passed, 0 failed", properties.len())), "{text}");
    say(&text);
}

#[track_caller]
fn template_has_drawn_properties(template: &Template) {
    has_drawn_properties(template.name, &definition(template), &(template.install)());
}

#[test]
fn the_template_in_python_has_the_properties() {
    template_has_drawn_properties(&PYTHON);
}

#[test]
fn the_template_in_go_has_the_properties() {
    template_has_drawn_properties(&GO);
}

#[test]
fn the_template_in_typescript_has_the_properties() {
    template_has_drawn_properties(&TYPESCRIPT);
}

#[test]
fn the_template_in_java_has_the_properties() {
    template_has_drawn_properties(&JAVA);
}

#[test]
fn a_consumer_that_reads_uncommitted_is_found() {
    let failure = found_in_python("reads_uncommitted", "aborted-transactions");
    let records = failure["records"].as_array().unwrap();
    assert!(
        records.iter().any(|it| it.as_str().unwrap().ends_with("in an aborted transaction")),
        "{failure:#}"
    );
}

#[test]
fn a_consumer_that_ignores_gaps_is_found() {
    let failure = found_in_python("ignores_gaps", "gap");
    assert!(!failure["rows"].as_array().unwrap().is_empty(), "{failure:#}");
}

#[test]
fn a_consumer_that_forgets_followers_is_found() {
    let failure = found_in_python("forgets_followers", "poison");
    assert!(!failure["rows"].as_array().unwrap().is_empty(), "{failure:#}");
}

#[test]
fn a_consumer_whose_dedup_is_outside_the_transaction_is_found() {
    let failure = found_in_python("dedup_outside_transaction", "kill");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_resumes_from_kafka_is_found() {
    let failure = found_in_python("resumes_from_kafka", "kill");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_keeps_orders_in_memory_is_found() {
    let failure = found_in_python("keeps_orders_in_memory", "two-instances");
    assert!(!failure["rows"].as_array().unwrap().is_empty(), "{failure:#}");
}

#[test]
fn a_consumer_that_claims_what_kafka_has_not_assigned_is_found() {
    let failure = found_in_python("claims_again", "freeze");
    assert!(failure["problem"].as_str().unwrap().starts_with("the consumer ended"), "{failure:#}");
}

#[test]
fn a_consumer_that_dedups_by_offset_is_found() {
    let failure = found_in_typescript("dedupsByOffset", "replay");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == false), "{failure:#}");
}

#[test]
fn a_consumer_that_forgets_held_events_is_found() {
    let failure = found_in_typescript("forgetsHeld", "late-arrival");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_skips_unknown_schemas_is_found() {
    let failure = found_in_typescript("skipsUnknownSchemas", "unknown-schema");
    let records = failure["records"].as_array().unwrap();
    assert!(records.iter().any(|it| it.as_str().unwrap().contains("unknown schema id")), "{failure:#}");
}

#[test]
fn a_consumer_that_keeps_the_last_event_of_a_stream_is_found() {
    let failure = found_in_typescript("keepsLastOfStream", "large-batch");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_commits_offsets_first_is_found() {
    let failure = found_in_typescript("commitsOffsetsFirst", "kill");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_starts_at_the_end_is_found() {
    let failure = found_in_typescript("startsAtTheEnd", "two-instances");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == true), "{failure:#}");
}

#[test]
fn a_consumer_that_ignores_epochs_is_found() {
    let failure = found_in_typescript("ignoresEpochs", "freeze");
    assert!(failure["rows"].as_array().unwrap().iter().any(|row| row["is_expected"] == false), "{failure:#}");
}

#[test]
fn a_consumer_that_takes_a_lost_commit_for_success_is_found() {
    found_in_python("takes_lost_commit_for_success", "commit-unknown");
}

#[test]
fn a_consumer_that_ignores_topic_changes_is_found() {
    let failure = found_in_python("ignores_topic_changes", "topic-recreated");
    assert!(failure["problem"].as_str().unwrap().contains("neither ended"), "{failure:#}");
}

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

/// Promise: the kit judges nothing by columns that differ without a fault.
#[test]
fn a_column_that_differs_between_two_runs_must_be_excluded() {
    let folder = tempfile::tempdir().unwrap();
    let column = "alter table shop_python.orders add column seen_at timestamptz default clock_timestamp()";
    let command_line = python::command_line();
    let arguments = ["--property", "large-batch"];
    let output = run(&other_definition(folder.path(), column, ""), &arguments, &command_line);
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    assert!(texts(&output).contains("shop_python.orders.seen_at; if that is intended"), "{}", texts(&output));

    let excluded = "excluded_columns = [\"shop_python.orders.seen_at\"]\n";
    let output = run(&other_definition(folder.path(), column, excluded), &arguments, &command_line);
    assert!(output.status.success(), "{}", texts(&output));
    assert!(texts(&output).contains("not compared: shop_python.orders.seen_at"), "{}", texts(&output));
}

#[test]
fn a_consumer_whose_idle_condition_is_not_met_is_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = other_definition(folder.path(), "", "idle = \"select false\"\n");
    let output = run(&path, &["--property", "large-batch"], &python::command_line());
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    assert!(texts(&output).contains("the idle condition was not met for 60s"), "{}", texts(&output));
}

/// Promise: what the kit cannot do in one trial does not take the others' results away.
#[test]
fn an_error_of_the_kit_leaves_one_property_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    // The kit creates a schema of this name, where it slows down commits.
    let path = other_definition(folder.path(), "create schema conformance", "");
    let (json, junit) = (folder.path().join("report.json"), folder.path().join("report.xml"));
    let files = [json.to_str().unwrap(), junit.to_str().unwrap()];
    let arguments =
        ["--property", "kill", "--property", "large-batch", "--json", files[0], "--junit", files[1]];
    let output = run(&path, &arguments, &python::command_line());
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    assert!(texts(&output).contains("1 passed, 0 failed, 1 not judged"), "{}", texts(&output));
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
    assert!(texts(&output).contains("\n    a fold that is wrong in itself"), "{}", texts(&output));
    assert!(
        fs::read_to_string(junit).unwrap().contains("<system-out>not tested: a fold that is wrong in itself")
    );
}

#[test]
fn a_consumer_that_does_not_end_with_success_is_found() {
    let python = python::command_line();
    // The shell continues when the signal has ended the program that it waits for.
    let script = format!("trap '' TERM; {} & wait $!; wait $!; exit 3", python.join(" "));
    let arguments = ["--property", "large-batch"];
    let output = run(&definition(&PYTHON), &arguments, &["sh".to_owned(), "-c".to_owned(), script]);
    assert_eq!(output.status.code(), Some(1), "{}", texts(&output));
    assert!(
        texts(&output).contains("did not end with exit status 0 when SIGTERM asked it to stop"),
        "{}",
        texts(&output)
    );
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
    let kit = fs::read_to_string(&path).unwrap();
    let kit: Vec<&str> = kit.lines().filter(|line| !line.starts_with("history")).collect();
    fs::write(&path, format!("{}\nhistory = \"history.jsonl\"\n", kit.join("\n"))).unwrap();
    let output = run(&path, &["--property", "poison"], &python::command_line());
    assert!(output.status.success(), "{}", texts(&output));
    assert!(
        texts(&output).contains("of the 8 kinds of damage: the history has too few streams"),
        "{}",
        texts(&output)
    );
}
