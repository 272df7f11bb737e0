//! Fetching through Maven, by coordinates.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::StartError;
use crate::process::{Child, Conditions, tail};

const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
const PATIENCE: Duration = Duration::from_secs(900);

/// A Maven artifact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Artifact {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// Copies the artifacts and their dependencies into the directory.
pub(crate) async fn fetch(mvn: &Path, artifacts: &[Artifact], into: &Path) -> Result<(), StartError> {
    let pom = into.join("pom.xml");
    std::fs::write(&pom, pom_of(artifacts)).map_err(StartError::io("write", &pom))?;
    let names: Vec<String> =
        artifacts.iter().map(|artifact| format!("{} {}", artifact.name, artifact.version)).collect();
    let what = names.join(", ");
    tracing::info!(artifacts = %what, "fetching through Maven (once)");
    let mut command = Command::new(mvn);
    command.args(["-q".as_ref(), "-B".as_ref(), "-f".as_ref(), pom.as_os_str()]);
    command.arg(format!("{PLUGIN}:copy-dependencies"));
    command.arg(property("outputDirectory", into));
    run(
        command,
        &Conditions::plain(),
        &format!("fetching {what} through Maven"),
        &into.join("mvn.log"),
        PATIENCE,
    )
    .await
}

/// Unpacks the archive of one artifact, named `group:name:version[:packaging[:classifier]]`, into the directory.
pub(crate) async fn unpack(mvn: &Path, artifact: &str, into: &Path) -> Result<(), StartError> {
    tracing::info!(artifact, "fetching through Maven (once)");
    let mut command = Command::new(mvn);
    // In the directory: where Maven runs it would take up a pom.xml that has nothing to do with this.
    command.current_dir(into).args([
        "-q",
        "-B",
        &format!("{PLUGIN}:unpack"),
        &format!("-Dartifact={artifact}"),
    ]);
    command.arg(property("outputDirectory", into));
    let step = format!("fetching {artifact} through Maven");
    run(command, &Conditions::plain(), &step, &into.join("mvn.log"), PATIENCE).await
}

/// Runs a program of the preparation and waits for its end.
pub(crate) async fn run(
    command: Command,
    conditions: &Conditions,
    step: &str,
    log: &Path,
    patience: Duration,
) -> Result<(), StartError> {
    let program = command.get_program().to_owned();
    let at_program = || StartError::io("run", Path::new(&program));
    let mut child = Child::spawn(command, conditions, log).map_err(at_program())?;
    let status = match child.wait(patience).await.map_err(at_program())? {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => format!("no end after {} s", patience.as_secs()),
    };
    Err(StartError::Step { step: step.to_owned(), status, tail: tail(log) })
}

fn property(name: &str, path: &Path) -> std::ffi::OsString {
    [OsStr::new("-D"), OsStr::new(name), OsStr::new("="), path.as_os_str()].into_iter().collect()
}

fn pom_of(artifacts: &[Artifact]) -> String {
    let mut pom = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>aqueduct</groupId>\n  <artifactId>devstack</artifactId>\n  <version>1</version>\n  \
         <packaging>pom</packaging>\n  <dependencies>\n",
    );
    for Artifact { group, name, version } in artifacts {
        // Writing to a string cannot fail.
        let _ = writeln!(
            pom,
            "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        );
    }
    pom.push_str("  </dependencies>\n</project>\n");
    pom
}
