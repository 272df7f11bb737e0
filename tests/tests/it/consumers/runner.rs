//! The conformance kit on Aqueduct's own runner.

use std::path::{Path, PathBuf};

use aqueduct_conformance::Property;

use crate::consumers::kit::{chosen_seed, has_drawn_properties, has_properties};
use crate::support::{BINARY, ROOT, configuration};

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/consumers/runner")
}

/// The command of `aqueduct project`, or of an App's.
fn command_line(configuration: &Path, command: &[&str]) -> Vec<String> {
    let script = folder().join("project.sh");
    let before = [script.to_str().unwrap(), BINARY, "--config", configuration.to_str().unwrap()];
    before.iter().chain(command).map(|argument| (*argument).to_owned()).collect()
}

/// Promise: projections in SQL files keep what is asked of consumers in any language.
#[test]
fn projections_in_sql_files_have_the_properties() {
    let command_line = command_line(&folder().join("sql/aqueduct.toml"), &["project"]);
    has_drawn_properties("SQL", &folder().join("sql.toml"), &command_line);
}

/// Promise: and so do projections in Rust. They name no version of a type, to which a schema could fail to resolve: what does
/// not fit their types is parked.
#[test]
fn projections_in_rust_have_every_property() {
    let command_line = command_line(&configuration(), &["shop", "project"]);
    let mut properties = Property::all().to_vec();
    properties.retain(|property| *property != Property::UnresolvableSchema);
    has_properties(&folder().join("shop.toml"), &command_line, chosen_seed().unwrap_or(1), &properties);
}
