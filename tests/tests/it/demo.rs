//! `aqueduct demo` as a user runs it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use aqueduct_devstack::{Child, Conditions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{BINARY, PATIENCE, configuration, eventually};

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(configuration()).arg("demo").args(arguments).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The JSON object on stdout, which must be all that is there.
fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_clean(summary: &Value) {
    for field in ["missing", "duplicates", "out_of_order", "mismatches", "parked"] {
        assert_eq!(summary[field], 0, "{field} of {summary:#}");
    }
}

#[test]
fn a_run_from_command_to_row_is_clean_and_done_again_adds_nothing() {
    let data = tempfile::tempdir().unwrap();
    let run = || {
        let directory = data.path().to_str().unwrap();
        summary(&demo(&["--orders", "40", "--json", "--data", directory]).output().unwrap())
    };
    let first = run();
    assert_clean(&first);
    assert_eq!(first["orders"], 40);
    assert_eq!(first["stored"], first["relayed"]);
    let positive = |field: &str| first[field].as_f64().unwrap() > 0.0;
    assert!(positive("upcast") && positive("applied") && positive("seconds"), "{first:#}");
    assert!(first["append_to_row_ms"]["p99"].as_f64().unwrap() > 0.0, "{first:#}");
    let lines: u64 = first["lines"].as_object().unwrap().values().map(|lines| lines.as_u64().unwrap()).sum();
    assert!(lines > 40, "{first:#}");

    let again = run();
    assert_clean(&again);
    for field in ["stored", "relayed", "applied", "orders", "lines", "append_to_row_ms"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    assert_eq!(again["stages"]["stored"]["events"], 0, "{again:#}");

    let other = demo(&["--orders", "41", "--data", data.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other).contains("--orders 40"), "{}", text(&other));
}

/// Guarantees 1 and 2: all processes are killed at once, then a server alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_resumed_and_completed() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    let arguments = ["--orders", "60", "--json", "--data", directory];
    let log = data.path().join("demo.log");
    let faults = [Fault::Demo(Signal::SIGKILL), Fault::Demo(Signal::SIGINT), Fault::Kafka];
    for (run, fault) in (1..).zip(faults) {
        let mut running = Child::spawn(demo(&arguments), &Conditions::plain(), &log).unwrap();
        // The logs hold those of the runs before, too.
        let mut says_as_often = async |log: &Path, text: &str| {
            eventually(&format!("{} says: {text}", log.display()), async || {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                assert!(running.ended().unwrap().is_none(), "{said}");
                (said.matches(text).count() == run).then_some(())
            })
            .await;
        };
        says_as_often(&log, "starting the servers").await;
        let second = demo(&arguments).output().unwrap();
        assert_eq!(second.status.code(), Some(1), "a second process on the directory is refused");
        assert!(text(&second).contains(directory), "{}", text(&second));

        says_as_often(&data.path().join("logs/relay.log"), "resuming lane route=\"orders\"").await;
        match fault {
            Fault::Demo(signal) => running.signal(signal),
            Fault::Kafka => kill(child_of(running.pid(), "kafka.Kafka"), Signal::SIGKILL).unwrap(),
        }
        let status = running.wait(PATIENCE).await.unwrap().unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        let kafka_ended = said.contains("kafka has ended unexpectedly");
        assert_eq!(kafka_ended, matches!(fault, Fault::Kafka), "{status}: {said}");
        assert!(!kafka_ended || status.code() == Some(1), "{status}");
    }
    let resumed = summary(&demo(&arguments).output().unwrap());
    assert_clean(&resumed);
    assert_eq!(resumed["orders"], 60);
}

enum Fault {
    Demo(Signal),
    Kafka,
}

/// The child of a process with this in its command line.
fn child_of(parent: u32, named: &str) -> Pid {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let is_child = status.lines().any(|line| line == format!("PPid:\t{parent}"));
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        (is_child && command.contains(named)).then_some(Pid::from_raw(id))
    });
    let found: Vec<_> = processes.collect();
    assert_eq!(found.len(), 1, "{named} below {parent}");
    found[0]
}

#[test]
fn malformed_lines_are_named_and_the_rest_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("orders.csv");
    write_orders(&input);
    let output = demo(&["--json", "--input", input.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_clean(&summary);
    assert_eq!(summary["lines"]["malformed"], 2);
    assert_eq!(summary["lines"]["not_understood"], 1);
    assert_eq!(summary["orders"], 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("line 3: Quantity is \"six\""), "{said}");
    assert!(said.contains("line 4: it has 2 columns instead of 8"), "{said}");
}

fn write_orders(path: &Path) {
    let lines = [
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        "1,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,France",
        "1,22423,CAKESTAND,six,2010-12-01 08:26:00,12.75,17850,France",
        "1,22423",
        "1,WHAT,NO PRODUCT,1,2010-12-01 08:26:00,1,17850,France",
    ];
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn what_is_missing_is_named_before_anything_is_started() {
    let output = demo(&["--orders", "1"]).env("PATH", "/nowhere").env_remove("JAVA_HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("java") && said.contains("install"), "{said}");

    let output = demo(&["--orders", "1", "--input", "/nowhere/orders.csv"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("/nowhere/orders.csv"), "{}", text(&output));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        Command::new(BINARY).args(["devstore", "--in-memory", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&address), "{}", text(&output));
}
