//! Java, with the libraries of the template.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::consumers::{JAVA, succeed};

/// The command line of the template.
pub(super) fn command_line() -> Vec<String> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(build).to_str().unwrap();
    // Each runs for seconds, and several at once: the optimizing compiler would not pay off.
    ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", program]
        .map(str::to_owned)
        .into()
}

fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java-consumer");
    succeed(maven(&folder).args(["-Dmaven.test.skip", "package"]));
    folder.join("consumer.jar")
}

/// Maven, which builds the template in this folder. Panics with what to install if it or the JDK is missing.
pub(super) fn maven(folder: &Path) -> Command {
    for (tool, arguments) in [("javac", ["--release", "17", "--version"].as_slice()), ("mvn", &["--version"])]
    {
        let found = Command::new(tool).args(arguments).output().is_ok_and(|output| output.status.success());
        assert!(
            found,
            "this test runs a consumer in Java: install a JDK, 17 or later, and Maven ({tool} is missing or older)"
        );
    }
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode"]).arg(format!("-Doutput.directory={}", folder.display()));
    maven.current_dir(JAVA.folder());
    maven
}
