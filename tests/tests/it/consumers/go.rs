//! Go, with the modules of the template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use crate::consumers::{GO, succeed};
use crate::support::ROOT;

/// The command line of the template. Panics with what to install if Go is missing or too old.
pub(super) fn command_line() -> Vec<String> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    vec![PROGRAM.get_or_init(build).to_str().unwrap().to_owned()]
}

/// The command line of the template with one further file, which plants a defect: `planted/go/<defect>.go`.
pub(super) fn command_line_of(defect: &str) -> Vec<String> {
    command_line();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let added = Path::new(ROOT).join("tests/consumers/planted/go").join(defect).with_extension("go");
    let place = GO.folder().canonicalize().unwrap().join("planted.go");
    let overlay = folder.join(format!("go-{defect}.json"));
    let replace = json!({ "Replace": { place.to_str().unwrap(): added.canonicalize().unwrap() } });
    fs::write(&overlay, replace.to_string()).unwrap();
    let program = folder.join(format!("go-{defect}"));
    let mut go = go(&["build", "-buildvcs=false", "-overlay"]);
    succeed(go.arg(&overlay).arg("-o").arg(&program));
    vec![program.to_str().unwrap().to_owned()]
}

fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(GO.folder());
    command
}

fn build() -> PathBuf {
    // Fails where Go is older than go.mod demands, too.
    let tools = go(&["list", "-m"]).output();
    assert!(
        tools.is_ok_and(|output| output.status.success()),
        "this test runs a consumer in Go: install Go 1.26 or later"
    );
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-consumer");
    succeed(go(&["build", "-buildvcs=false", "-o"]).arg(&program));
    program
}
