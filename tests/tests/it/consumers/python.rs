//! Python, with the packages of the template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::consumers::{PYTHON, succeed};

/// The command line of the template.
pub(super) fn command_line() -> Vec<String> {
    command_line_of(&PYTHON.folder().join("consumer.py"))
}

/// The command line of a program that needs the packages of the template.
pub(super) fn command_line_of(program: &Path) -> Vec<String> {
    // Compiled modules would be written into the repository.
    [interpreter(), Path::new("-B"), program].map(|part| part.to_str().unwrap().to_owned()).into()
}

/// Panics with what to install if Python or its module for virtual environments is missing.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(install)
}

fn install() -> PathBuf {
    let tools = Command::new("python3")
        .args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"])
        .output();
    assert!(
        tools.is_ok_and(|output| output.status.success()),
        "this test runs a consumer in Python: install Python 3.11 or later, with the module venv"
    );
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-consumer");
    let requirements = PYTHON.folder().join("requirements.txt");
    // Written last: it shows that the installation is complete.
    let installed = environment.join("installed.txt");
    let is_installed =
        fs::read(&installed).is_ok_and(|installed| installed == fs::read(&requirements).unwrap());
    let python = environment.join("bin/python");
    if !is_installed {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        let mut pip = Command::new(&python);
        succeed(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements));
        fs::copy(&requirements, &installed).unwrap();
    }
    python
}
