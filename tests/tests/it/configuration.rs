//! What `aqueduct` says of a configuration that it can't use.

use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, configuration};

/// What `aqueduct relay` says of a configuration.
fn said(file: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(BINARY);
    let output =
        command.arg("--config").arg(file).arg("relay").envs(environment.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// What it says of the sample configuration with this line in this section.
fn said_with(section: &str, line: &str) -> String {
    let sample = std::fs::read_to_string(configuration()).unwrap();
    let header = format!("[{section}]\n");
    let (before, after) = sample.split_once(&header).unwrap_or((&sample, ""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("{before}{header}{line}\n{after}")).unwrap();
    said(file.path(), &[])
}

#[test]
fn an_unknown_key_of_any_section_is_refused_with_the_nearest() {
    for (section, line, says) in [
        ("eventstore", "soruce = 'a'", "there is no key `eventstore.soruce`, did you mean `source`?"),
        ("kafka", "broker = 'a'", "there is no key `kafka.broker`, did you mean `brokers`?"),
        ("registry", "uri = 'a'", "there is no key `registry.uri`, did you mean `url`?"),
        ("postgres", "uri = 'a'", "there is no key `postgres.uri`, did you mean `url`?"),
        ("schemas", "directry = 'a'", "there is no key `schemas.directry`, did you mean `directory`?"),
        ("http", "projection = 'a'", "there is no key `http.projection`, did you mean `project`?"),
        ("relay", "lane = 2", "there is no key `relay.lane`, did you mean `lanes`?"),
        ("projection", "batchs = 2", "there is no key `projection.batchs`, did you mean `batch_size`?"),
        ("demo", "inputs = 'a'", "there is no key `demo.inputs`, did you mean `input`?"),
        ("telemetry", "logs = 'a'", "there is no key `telemetry.logs`, did you mean `log`?"),
        ("projections", "batch_size = 2", "there is no key `projections`, did you mean `projection`?"),
        ("shop.orders", "listen = 'a'", "there is no key `shop`, did you mean"),
    ] {
        let said = said_with(section, line);
        assert!(said.contains(says), "{section}: {said}");
    }
}

#[test]
fn what_the_relay_is_told_in_another_section_is_refused_in_its_own() {
    for (line, says) in [
        ("brokers = 'a'", "there is no key `relay.brokers`, did you mean `kafka.brokers`?"),
        ("prefix = 'a'", "there is no key `relay.prefix`, did you mean `kafka.prefix`?"),
        ("source = 'a'", "there is no key `relay.source`, did you mean `eventstore.source`?"),
        (
            "replication_factor = 3",
            "there is no key `relay.replication_factor`, did you mean `kafka.replication`?",
        ),
        ("properties = { a = 'b' }", "there is no key `relay.properties`, did you mean `kafka.properties`?"),
    ] {
        let said = said_with("relay", line);
        assert!(said.contains(says), "{line}: {said}");
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_key() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path().to_str().unwrap();
    for (variable, value, says) in [
        ("AQUEDUCT_RELAY__LANE", "8", "there is no key `relay.lane`, did you mean `lanes`?"),
        ("AQUEDUCT_RELAI__LANES", "8", "there is no key `relai`, did you mean `relay`?"),
        ("AQUEDUCT_POSTGRES__URI_FILE", secret, "there is no key `postgres.uri`, did you mean `url`?"),
    ] {
        let said = said(&configuration(), &[(variable, value)]);
        assert!(said.starts_with("error: environment") && said.contains(says), "{variable}: {said}");
    }
}

#[test]
fn an_address_that_is_needed_and_not_configured_is_named() {
    let said = said(&configuration(), &[]);
    assert!(said.contains("eventstore.url") && said.contains("AQUEDUCT_EVENTSTORE__URL"), "{said}");
}

/// A password like 0123 was taken for a number, refused, and shown.
#[test]
fn a_variable_that_looks_like_a_number_is_a_text_where_one_is_wanted() {
    for (variable, value) in [
        ("AQUEDUCT_REGISTRY__PASSWORD", "0123"),
        ("AQUEDUCT_KAFKA__PREFIX", "7"),
        ("AQUEDUCT_EVENTSTORE__SOURCE", "true"),
    ] {
        let (without, with) = (said(&configuration(), &[]), said(&configuration(), &[(variable, value)]));
        assert_eq!(with, without, "{variable}");
    }
}
