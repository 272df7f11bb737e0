//! The golden vectors, which each template reads as they say, without servers.

use std::path::Path;
use std::process::Command;

use crate::consumers::{GO, PYTHON, java, python, succeed, typescript};
use crate::support::ROOT;

/// A command that plays the vectors.
fn plays(command: &mut Command) {
    let root = Path::new(ROOT).canonicalize().unwrap();
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("AQUEDUCT_VECTORS", root.join("tests/conformance/vectors"));
    succeed(command.env("AQUEDUCT_SCHEMAS__DIRECTORY", root.join("schemas")));
}

#[test]
fn python_reads_the_vectors_as_they_say() {
    let mut python = Command::new(&python::command_line()[0]);
    plays(python.args(["-m", "unittest", "test_vectors"]).current_dir(PYTHON.folder()));
}

#[test]
fn go_reads_the_vectors_as_they_say() {
    let mut go = Command::new("go");
    plays(go.args(["test", "-buildvcs=false", "-count=1", "./..."]).current_dir(GO.folder()));
}

#[test]
fn java_reads_the_vectors_as_they_say() {
    // Before, and not at the same time: Maven's repository is shared.
    java::command_line();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java-consumer-tests");
    plays(java::maven(&folder).arg("test"));
}

#[test]
fn typescript_reads_the_vectors_as_they_say() {
    let test = typescript::command_line_of("vectors.test");
    plays(Command::new(&test[0]).args(["--test", &test[1]]));
}
