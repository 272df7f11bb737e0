//! The template in TypeScript, compiled in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::consumers::{TYPESCRIPT, succeed};
use crate::support::ROOT;

/// The command line of the template.
pub(super) fn command_line() -> Vec<String> {
    command_line_of("consumer")
}

/// The command line of a program that is compiled with the template: `planted/forgetsHeld`.
pub(super) fn command_line_of(program: &str) -> Vec<String> {
    let program = compiled().join(format!("{program}.js"));
    vec!["node".to_owned(), program.to_str().unwrap().to_owned()]
}

/// The folder of the compiled programs. Panics with what to install if Node or npm is missing.
fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(install)
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
    copy_files(&source.join("src"), &modules);
    copy_files(&Path::new(ROOT).join("tests/consumers/planted/typescript"), &modules.join("planted"));
    for file in ["package.json", "package-lock.json", ".npmrc", "tsconfig.json"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
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
    folder.join("dist")
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
