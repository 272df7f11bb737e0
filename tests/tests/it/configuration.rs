//! What `aqueduct` says of a configuration that it cannot use.

use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, ROOT, configuration};

/// What `aqueduct relay` says of a configuration.
fn said(file: &Path, environment: &[(&str, &str)]) -> String {
    said_by(&["relay"], file, environment)
}

/// What a command that must fail says of a configuration.
fn said_by(command: &[&str], file: &Path, environment: &[(&str, &str)]) -> String {
    let mut aqueduct = Command::new(BINARY);
    aqueduct.arg("--config").arg(file).args(command).envs(environment.iter().copied());
    let output = aqueduct.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
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
        ("shop", "user = 'a'", "there is no key `shop.user`, did you mean `users`?"),
        ("telemetry", "logs = 'a'", "there is no key `telemetry.logs`, did you mean `log`?"),
        ("projections", "batch_size = 2", "there is no key `projections`, did you mean `projection`?"),
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
fn how_events_are_read_is_checked_when_the_configuration_is_read() {
    for (section, line, says) in [
        ("events", "type = {}", "there is no key `events.type`, did you mean `types`?"),
        ("events.types", "'a*' = 'A'\n'a.*' = '{event}'", "`events.types.\"a.*\"`"),
        ("events.metadata", "times = []", "there is no key `events.metadata.times`, did you mean `time`?"),
        ("events.metadata", "schema_version = ['/version']", "write metadata:/field or data:/field"),
        ("relay", "on_bad_event = 'parks'", "`relay.on_bad_event`"),
    ] {
        let said = said_with(section, line);
        assert!(said.contains(says), "{section}: {said}");
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

const EVENT_STORE: (&str, &str) = ("AQUEDUCT_EVENTSTORE__URL", "esdb://127.0.0.1:1?tls=false");
const KAFKA: (&str, &str) = ("AQUEDUCT_KAFKA__BROKERS", "127.0.0.1:1");
const REGISTRY: (&str, &str) = ("AQUEDUCT_REGISTRY__URL", "http://127.0.0.1:1");
const POSTGRES: (&str, &str) = ("AQUEDUCT_POSTGRES__URL", "postgres://nobody@127.0.0.1:1/none");

/// A container gets the secrets of what it uses, and no others.
#[test]
fn each_command_needs_only_the_addresses_it_uses() {
    // Where nothing else is missing, a process listens: that this port is taken shows that it got so far.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (command, listen, needs) in [
        (&["relay"][..], "HTTP__RELAY", &[EVENT_STORE, KAFKA, REGISTRY][..]),
        (&["shop", "project"], "HTTP__PROJECT", &[KAFKA, REGISTRY, POSTGRES]),
        (&["shop", "users"], "SHOP__USERS", &[EVENT_STORE, POSTGRES]),
        (&["shop", "service", "orders"], "SHOP__ORDERS", &[EVENT_STORE, POSTGRES]),
        (&["shop", "legacy-orders"], "SHOP__LEGACY_ORDERS", &[EVENT_STORE, POSTGRES]),
        (&["shop", "inventory"], "SHOP__INVENTORY", &[EVENT_STORE, KAFKA, REGISTRY, POSTGRES]),
    ] {
        let listen = format!("AQUEDUCT_{listen}");
        let mut environment = vec![(listen.as_str(), address.as_str())];
        environment.extend(needs);
        let all = said_by(command, &configuration(), &environment);
        assert!(all.contains(&format!("cannot listen on {address}")), "{command:?}: {all}");
        for (missing, _) in needs {
            let others: Vec<_> = environment.iter().copied().filter(|(name, _)| name != missing).collect();
            let said = said_by(command, &configuration(), &others);
            assert!(said.contains(missing), "{command:?} without {missing}: {said}");
        }
    }
    let said = said_by(&["shop", "setup"], &configuration(), &[KAFKA, REGISTRY]);
    assert!(said.contains(POSTGRES.0), "{said}");
}

#[test]
fn a_command_of_an_app_that_lacks_it_says_what_to_run() {
    for (command, says) in [
        (
            &["project"][..],
            "`aqueduct` has no projections: set projection.directory to a directory of SQL projections, or register them \
             with App::view or App::deltas; or run `aqueduct shop project`",
        ),
        (&["react"], "`aqueduct` has no reactors to run"),
        (&["shop", "react"], "`aqueduct shop` has no reactors to run"),
    ] {
        let said = said_by(command, &configuration(), &[]);
        assert!(said.contains(says), "{command:?}: {said}");
    }
}

/// The sample and the demo are optional.
#[test]
fn a_configuration_of_its_own_needs_no_section_of_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let init = || Command::new(BINARY).arg("init").current_dir(&folder).output().unwrap();
    let output = init();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = folder.path().join("aqueduct.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("shop") && !text.contains("demo"), "{text}");

    // In its directory no option is needed, and all that is missing is an address.
    let output = Command::new(BINARY).arg("relay").current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is not configured: add it to aqueduct.toml"), "{said}");
    let said = said_by(&["demo"], &file, &[]);
    assert!(said.contains("`demo.input`: is missing"), "{said}");
    let output = Command::new(BINARY).args(["schemas", "check"]).current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 event type: 0 findings"), "{said}");

    // Nothing is overwritten.
    std::fs::write(&file, "# mine").unwrap();
    let output = init();
    assert!(String::from_utf8_lossy(&output.stdout).contains("kept ./aqueduct.toml"), "{output:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine");
}

#[test]
fn a_directory_without_a_configuration_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY).arg("relay").current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("aqueduct.toml") && said.contains("init") && said.contains("--config"), "{said}");
}

#[test]
fn the_configuration_of_the_version_before_is_read_with_a_warning_for_each_moved_key() {
    let old = Path::new(ROOT).join("tests/data/version-0.1/aqueduct.toml");
    let said = said(&old, &[("AQUEDUCT_HTTP__USERS", "127.0.0.1:9203")]);
    let (warnings, error): (Vec<_>, Vec<_>) = said.lines().partition(|line| line.starts_with("warning: "));
    for key in ["users", "orders", "legacy_orders", "inventory"] {
        let moved = format!(": `http.{key}` is now `shop.{key}`: rename it");
        let expected = if key == "users" { 2 } else { 1 };
        let found = warnings.iter().filter(|warning| warning.ends_with(&moved)).count();
        assert_eq!(found, expected, "{key}: {said}");
    }
    assert!(
        warnings.iter().any(|warning| warning.contains(": [schemas.contexts] is replaced by ")),
        "{said}"
    );
    assert_eq!(warnings.len(), 6, "{said}");
    assert!(error[0].contains("is not configured"), "{said}");
}
