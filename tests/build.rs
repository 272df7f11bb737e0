//! Reports the tools that the tests need and this machine lacks, before anything is tested.

use std::process::Command;

const TOOLS: [(&str, &str, &str); 7] = [
    ("java", "-version", "a JDK, 17 or later: it runs Kafka"),
    ("javac", "-version", "a JDK, 17 or later, not only a runtime: a test runs a consumer in Java"),
    ("mvn", "--version", "Maven: it downloads the servers and builds that consumer"),
    ("node", "--version", "Node, 20 or later: a test appends events with the vendor's client for Node"),
    ("npm", "--version", "npm, which belongs to Node: it downloads that client"),
    ("python3", "--version", "Python, 3.11 or later, with the module venv: a test runs a consumer in Python"),
    ("go", "version", "Go, 1.26 or later: a test runs a consumer in Go"),
];

/// One of them is enough.
const POOLERS: [&str; 3] = ["pgbouncer", "/usr/sbin/pgbouncer", "apt-get"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (tool, argument, purpose) in TOOLS {
        if !is_found(tool, argument) {
            report(tool, purpose);
        }
    }
    if !POOLERS.iter().any(|tool| is_found(tool, "--version")) {
        report("pgbouncer", "PgBouncer, or apt-get, which downloads Debian's: consumers connect through it");
    }
}

fn is_found(tool: &str, argument: &str) -> bool {
    Command::new(tool).arg(argument).output().is_ok_and(|output| output.status.success())
}

fn report(tool: &str, purpose: &str) {
    println!("cargo::warning={tool} is missing, tests will fail: install {purpose}");
    // A file that does not exist: until the tool is installed, each build checks again.
    println!("cargo::rerun-if-changed=missing-{tool}");
}
