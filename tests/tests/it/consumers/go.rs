//! Go, with the modules of the template.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::consumers::{GO, succeed};

/// The command line of the template. Panics with what to install if Go is missing or too old.
pub(super) fn command_line() -> Vec<String> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    vec![PROGRAM.get_or_init(build).to_str().unwrap().to_owned()]
}

fn build() -> PathBuf {
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(GO.folder());
        command
    };
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
