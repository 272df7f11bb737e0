//! The conformance kit on Aqueduct's own runner.

use std::path::{Path, PathBuf};

use crate::consumers::kit::{run, texts};
use crate::support::{BINARY, ROOT, configuration};

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/consumers/runner")
}

/// Tests properties of `aqueduct project`, or of an App's.
#[track_caller]
fn has_properties(kit: &str, configuration: &Path, command: &[&str], properties: &[&str]) {
    let script = folder().join("project.sh");
    let before = [script.to_str().unwrap(), BINARY, "--config", configuration.to_str().unwrap()];
    let command_line: Vec<String> =
        before.iter().chain(command).map(|argument| (*argument).to_owned()).collect();
    let arguments: Vec<&str> = properties.iter().flat_map(|property| ["--property", property]).collect();
    let output = run(&folder().join(kit), &arguments, &command_line);
    assert!(output.status.success(), "{}", texts(&output));
    let passed = format!("{} passed, 0 failed", properties.len());
    assert!(texts(&output).contains(&passed), "{}", texts(&output));
}

/// Promise: projections in SQL files keep what is asked of consumers in any language.
#[test]
fn projections_in_sql_files_have_the_properties_of_the_kit() {
    let configuration = folder().join("sql/aqueduct.toml");
    has_properties("sql.toml", &configuration, &["project"], &["gap", "commit-unknown"]);
}

/// Promise: and so do projections in Rust.
#[test]
fn projections_in_rust_have_the_properties_of_the_kit() {
    let properties = ["late-arrival", "two-instances", "topic-created-again"];
    has_properties("shop.toml", &configuration(), &["shop", "project"], &properties);
}
