//! The template in TypeScript, compiled in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::consumers::{TYPESCRIPT, succeed};

/// The command line of the template.
pub(super) fn command_line() -> Vec<String> {
    vec!["node".to_owned(), program().to_str().unwrap().to_owned()]
}

/// Panics with what to install if Node or npm is missing.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(install)
}

fn install() -> PathBuf {
    let is_recent = "const [major, minor] = process.versions.node.split('.').map(Number); \
                     process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)";
    for (tool, arguments) in [("node", ["-e", is_recent].as_slice()), ("npm", ["--version"].as_slice())] {
        let found = Command::new(tool).args(arguments).output().is_ok_and(|output| output.status.success());
        assert!(
            found,
            "this test runs a consumer in TypeScript: install Node 20.19 or later with npm ({tool} is missing or older)"
        );
    }
    let source = TYPESCRIPT.folder();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript-consumer");
    let modules = folder.join("src");
    if modules.exists() {
        fs::remove_dir_all(&modules).unwrap();
    }
    fs::create_dir_all(&modules).unwrap();
    for file in ["package.json", "package-lock.json", ".npmrc", "tsconfig.json"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    for file in fs::read_dir(source.join("src")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), modules.join(file.file_name())).unwrap();
    }
    let lock = source.join("package-lock.json");
    // Written last: it shows that the installation is complete.
    let installed = folder.join("installed.json");
    let is_installed = fs::read(&installed).is_ok_and(|installed| installed == fs::read(&lock).unwrap());
    if !is_installed {
        succeed(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder));
        fs::copy(&lock, &installed).unwrap();
    }
    succeed(Command::new("npm").args(["run", "build"]).current_dir(&folder));
    folder.join("dist/consumer.js")
}
