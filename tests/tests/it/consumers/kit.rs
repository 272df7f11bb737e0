//! The conformance kit, on the templates.

mod judging;
mod planted;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use aqueduct_conformance::{Error, Options, Property, Report, Servers, Verdict, test_on};
use tokio::runtime::Runtime;

use crate::consumers::{GO, JAVA, PYTHON, TYPESCRIPT, Template};
use crate::support::say;

fn definition(template: &Template) -> PathBuf {
    template.folder().join("consumer-test.toml")
}

/// Servers of all these tests, which end with the process. They also limit how much runs at the same time.
fn servers() -> &'static (Runtime, Servers) {
    static SERVERS: LazyLock<(Runtime, Servers)> = LazyLock::new(|| {
        let runtime = Runtime::new().unwrap();
        let servers = runtime.block_on(Servers::start()).unwrap();
        (runtime, servers)
    });
    &SERVERS
}

/// Tests a consumer as `aqueduct consumer test` does, without starting servers for it.
pub(super) fn test(
    definition: &Path,
    command_line: &[String],
    seed: u64,
    properties: &[Property],
) -> Result<Report, Error> {
    let options = Options {
        definition: definition.to_owned(),
        program: command_line.iter().map(Into::into).collect(),
        seed,
        properties: properties.to_vec(),
    };
    let (runtime, servers) = servers();
    runtime.block_on(test_on(servers, &options, &|_| {}))
}

/// The report for people.
fn text(report: &Report) -> String {
    let properties: Vec<_> = report.properties.iter().map(ToString::to_string).collect();
    format!("{}\n{report}", properties.join("\n"))
}

/// The seed that was asked for, for tests that take a long time: `tests/consumers/long`.
pub(super) fn chosen_seed() -> Option<u64> {
    std::env::var("KIT_SEED").ok().map(|seed| seed.parse().unwrap())
}

/// Tests five properties of a consumer, drawn by a seed; all of them, which takes minutes, where `KIT_SEED` gives it.
#[track_caller]
pub(super) fn has_drawn_properties(name: &str, definition: &Path, command_line: &[String]) {
    if let Some(seed) = chosen_seed() {
        return has_properties(definition, command_line, seed, Property::all());
    }
    let seed: u64 = fastrand::u32(..).into();
    say(&format!("conformance of the consumer in {name}: five properties of seed {seed}"));
    let all = Property::all().iter().copied();
    has_properties(definition, command_line, seed, &fastrand::Rng::with_seed(seed).choose_multiple(all, 5));
}

/// Promise: a consumer does what the contract asks for.
#[track_caller]
pub(super) fn has_properties(definition: &Path, command_line: &[String], seed: u64, properties: &[Property]) {
    let report = test(definition, command_line, seed, properties).unwrap();
    let text = text(&report);
    let passed = report.properties.iter().filter(|it| it.verdict == Verdict::Passed).count();
    assert_eq!(passed, properties.len(), "{text}");
    say(&text);
}

#[track_caller]
fn template_has_drawn_properties(template: &Template) {
    has_drawn_properties(template.name, &definition(template), &(template.install)());
}

#[test]
fn the_template_in_python_has_the_properties() {
    template_has_drawn_properties(&PYTHON);
}

#[test]
fn the_template_in_go_has_the_properties() {
    template_has_drawn_properties(&GO);
}

#[test]
fn the_template_in_typescript_has_the_properties() {
    template_has_drawn_properties(&TYPESCRIPT);
}

#[test]
fn the_template_in_java_has_the_properties() {
    template_has_drawn_properties(&JAVA);
}
