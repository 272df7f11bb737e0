//! What is wrong is said before anything is started, or with the log of what did not start.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aqueduct_devstack::{Data, DevStack, Options, Part, StartError};

use crate::other_process::{Orders, OtherProcess};

/// The error of a start with nothing installed but what lies in `path`.
fn error_with_path(path: &Path, dir: &Path) -> String {
    let mut process = OtherProcess::start(Orders::Wait, &dir.join("data"), |command| {
        command.env("PATH", path).env_remove("JAVA_HOME").env("AQUEDUCT_CACHE", dir.join("cache"));
        // Or the one that Debian puts beside the PATH is found.
        command.env("AQUEDUCT_POSTGRES_FROM", "maven");
    });
    let error = process.says("failed");
    assert!(!dir.join("data").exists(), "something was started");
    error
}

#[test]
fn all_that_is_missing_is_named_at_once_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let error = error_with_path(dir.path(), dir.path());
    for part in [
        "no java in the PATH",
        "apt-get install openjdk-17-jdk-headless",
        "no mvn on the PATH, which fetches Apache Kafka",
        "apt-get install maven",
        "no PostgreSQL 15 or later",
        "apt-get install postgresql",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn a_java_that_is_too_old_is_named_with_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let java = dir.path().join("java");
    std::fs::write(&java, "#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n").unwrap();
    std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = error_with_path(dir.path(), dir.path());
    assert!(error.contains("is Java 11, Apache Kafka needs 17 or later"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    for wanted in ["kafka", "postgres", "registry", "event store"] {
        let on = |part| if part == wanted { Part::Start { port: Some(taken) } } else { Part::Off };
        let options = Options {
            kafka: on("kafka"),
            postgres: on("postgres"),
            registry: on("registry"),
            event_store: on("event store"),
            ..Options::none()
        };
        let error = DevStack::start(options).await.unwrap_err();
        assert!(
            matches!(error, StartError::PortInUse { part, port } if part == wanted && port == taken),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_part_that_does_not_start_shows_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let storage = dir.path().join("kafka/data");
    std::fs::create_dir_all(&storage).unwrap();
    std::fs::write(storage.join("meta.properties"), "version=1\n").unwrap();
    let options =
        Options { data: Data::Kept(dir.path().to_owned()), kafka: Part::start(), ..Options::none() };
    let error = DevStack::start(options).await.unwrap_err();
    let StartError::NotReady { part: "kafka", log, tail, .. } = &error else { panic!("{error}") };
    assert!(log.exists());
    assert!(tail.contains("meta.properties"), "{tail}");
    assert!(error.to_string().contains(&log.display().to_string()), "{error}");
}
