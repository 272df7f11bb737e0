//! What crates/ARCHITECTURE.md says: the dependencies, from `cargo metadata`, and the files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::support::{ROOT, sources};

/// What each crate of the product may depend on, within the workspace. Tests may use anything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("avro", &[]),
    ("core", &[]),
    ("schema", &["avro", "core"]),
    ("evolution", &["avro", "core", "schema"]),
    ("eventstore", &["core"]),
    ("verify", &["core"]),
    ("shop-verify", &["core", "verify"]),
    ("kafka", &[]),
    ("relay", &["core", "schema", "kafka"]),
    ("projection", &["core", "schema", "kafka"]),
    ("devstore", &[]),
    ("devstack", &["avro", "devstore", "schema"]),
    ("conformance", &["core", "kafka", "schema", "relay", "projection", "devstack"]),
    ("service", &[]),
    (
        "aqueduct",
        &[
            "avro",
            "core",
            "kafka",
            "schema",
            "evolution",
            "eventstore",
            "relay",
            "projection",
            "verify",
            "service",
            "conformance",
            "devstack",
            "devstore",
        ],
    ),
    ("shop", &["aqueduct"]),
    (
        "cli",
        &[
            "aqueduct",
            "core",
            "schema",
            "eventstore",
            "verify",
            "kafka",
            "relay",
            "projection",
            "devstore",
            "devstack",
            "service",
            "shop",
            "shop-verify",
        ],
    ),
    ("tests", &["aqueduct", "core", "projection", "cli"]),
];

/// Crates that do I/O: the domain side must not know them.
const NOT_IN_CORE: [&str; 9] =
    ["sqlx", "rdkafka", "tonic", "eventstore", "reqwest", "axum", "hyper", "apache-avro", "fjall"];

/// The only types of the product that the checker uses: those of a stored event.
const USED_BY_VERIFY: [&str; 5] = ["ContentType", "Position", "RecordedEvent", "Revision", "StreamName"];

/// Per crate of the workspace what it needs to be built, without its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let packages = metadata.packages.iter().map(|package| {
        let needed = package.dependencies.iter().filter(|needed| needed.kind != DependencyKind::Development);
        let names = needed.map(|needed| needed.name.trim_start_matches("aqueduct-").to_owned());
        (package.name.trim_start_matches("aqueduct-").to_owned(), names.collect())
    });
    packages.collect()
}

#[test]
fn dependencies_point_one_way() {
    let dependencies = dependencies();
    let crates: BTreeSet<_> = dependencies.keys().cloned().collect();
    let known: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(crates, known, "a crate came or went: crates/ARCHITECTURE.md and this table must say so");
    for (name, allowed) in ALLOWED.iter().copied() {
        let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
        // `eventstore` is also the name of the client crate, which its adapter and the checker use.
        let client = matches!(name, "eventstore" | "verify").then(|| "eventstore".to_owned());
        let inside: BTreeSet<_> = dependencies[name].intersection(&crates).cloned().collect();
        let forbidden: Vec<_> =
            inside.difference(&allowed).filter(|name| client.as_ref() != Some(*name)).collect();
        assert!(forbidden.is_empty(), "{name} must not depend on {forbidden:?}");
    }
}

/// The chapters about the inside of a crate, with the crate.
const INSIDE: [(&str, &str); 2] = [("Inside the relay", "relay"), ("Inside a projection", "projection")];

#[test]
fn the_page_names_files_that_exist() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("crates/ARCHITECTURE.md")).unwrap();
    for (heading, of) in INSIDE {
        let chapter = page.split("\n## ").find(|chapter| chapter.starts_with(heading)).unwrap();
        let existing: BTreeSet<_> = sources(of).into_iter().map(|(path, _)| path).collect();
        let named = chapter.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs"));
        let named: Vec<_> = named.map(PathBuf::from).collect();
        assert!(named.len() >= 5, "{heading} names only {named:?}");
        let missing: Vec<_> = named.iter().filter(|path| !existing.contains(*path)).collect();
        assert!(missing.is_empty(), "{heading} names files that crates/{of}/src does not have: {missing:?}");
    }
}

#[test]
fn core_does_no_io() {
    let core = &dependencies()["core"];
    let found: Vec<_> = NOT_IN_CORE.iter().filter(|name| core.contains(**name)).collect();
    assert!(found.is_empty(), "core must not depend on {found:?}");
}

/// The product is one App and the shop another: within the binary only these know both.
#[test]
fn only_lib_demo_and_bench_import_the_shop() {
    let importing = sources("cli").into_iter().filter(|(_, text)| text.contains("aqueduct_shop"));
    let modules = importing
        .map(|(path, _)| path.with_extension("").iter().next().unwrap().to_str().unwrap().to_owned());
    // `lib` contains the binary's `main`, which the binary for tests calls too.
    assert_eq!(modules.collect::<BTreeSet<_>>(), ["bench", "demo", "lib"].map(str::to_owned).into());
}

#[test]
fn verify_uses_only_the_types_of_a_stored_event() {
    let mut used = BTreeSet::new();
    for (path, text) in sources("verify") {
        for after in text.split("aqueduct_core").skip(1) {
            let names =
                after.strip_prefix("::").unwrap_or_else(|| panic!("{}: use core by name", path.display()));
            let names = match names.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap(),
                None => names.split(|c: char| !c.is_alphanumeric()).next().unwrap(),
            };
            used.extend(names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        }
    }
    assert_eq!(used, USED_BY_VERIFY.map(str::to_owned).into());
}
