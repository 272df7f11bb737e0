//! The golden vectors, which each template reads as they say, without servers.

use std::path::Path;
use std::process::Command;

use crate::consumers::{GO, PYTHON, python, succeed, typescript};
use crate::support::ROOT;

/// A command that plays the vectors in this folder.
fn plays(program: &str, arguments: &[&str], folder: &Path) {
    let root = Path::new(ROOT).canonicalize().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("AQUEDUCT_VECTORS", root.join("tests/conformance/vectors"));
    succeed(command.env("AQUEDUCT_SCHEMAS__DIRECTORY", root.join("schemas")));
}

#[test]
fn python_reads_the_vectors_as_they_say() {
    plays(&python::command_line()[0], &["-m", "unittest", "test_vectors"], &PYTHON.folder());
}

#[test]
fn go_reads_the_vectors_as_they_say() {
    plays("go", &["test", "-buildvcs=false", "-count=1", "./..."], &GO.folder());
}

#[test]
fn typescript_reads_the_vectors_as_they_say() {
    let test = typescript::command_line_of("vectors.test");
    plays(&test[0], &["--test", &test[1]], Path::new(ROOT));
}
