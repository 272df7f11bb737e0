//! The vendor's client for Node, as a program that appends events.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::ROOT;

const SOURCE: &str = "tests/clients/node";

/// Panics with what to install if Node or npm is missing.
pub(crate) fn require_tools() {
    for tool in ["node", "npm"] {
        let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
        assert!(
            found,
            "this test appends events with a client for Node: install Node 20 or later with npm ({tool} is missing)"
        );
    }
}

/// The program with its packages, in the target directory.
pub(crate) struct NodeClient {
    folder: PathBuf,
}

impl NodeClient {
    /// Installs the packages of the lock file, unless they are installed. Panics with what to install if Node or npm
    /// is missing.
    pub(crate) fn install() -> Self {
        require_tools();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-client");
        fs::create_dir_all(&folder).unwrap();
        let lock = fs::read(Path::new(ROOT).join(SOURCE).join("package-lock.json")).unwrap();
        // Written last: it shows that the installation is complete.
        let installed = folder.join("installed.json");
        let is_installed = fs::read(&installed).is_ok_and(|installed| installed == lock);
        for file in ["package.json", "package-lock.json", "append.js"] {
            fs::copy(Path::new(ROOT).join(SOURCE).join(file), folder.join(file)).unwrap();
        }
        if !is_installed {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
            let output = npm.output().unwrap();
            assert!(output.status.success(), "npm ci: {output:?}");
            fs::write(&installed, lock).unwrap();
        }
        Self { folder }
    }

    /// Appends the events, each a line of JSON.
    pub(crate) fn append(&self, url: &str, lines: impl Iterator<Item = String>) {
        let mut node = Command::new("node");
        node.args(["append.js", url]).current_dir(&self.folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().unwrap();
        let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
        let mut count = 0;
        for line in lines {
            writeln!(input, "{line}").unwrap();
            count += 1;
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed == format!("{count} events appended\n"), "{printed}");
    }
}
