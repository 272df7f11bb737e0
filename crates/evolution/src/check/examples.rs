//! Whether every upcast rule does what its examples say.

use std::path::Path;

use aqueduct_schema::ExamplesReport;

use crate::finding::{Affected, Finding, FindingName};

pub(super) fn check(report: &ExamplesReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    for failure in &report.failures {
        let example = failure.index.map_or(String::new(), |index| format!("example {index}: "));
        let problem = format!("{example}{}", failure.problem);
        findings.push(
            of_file(&failure.path, FindingName::ExampleFails, problem)
                .remedy("correct the rule or the example: one of them is wrong"),
        );
    }
    for rule in &report.rules_without {
        let problem = format!("no example runs the upcast rule of field {} of {}", rule.field, rule.record);
        let name = rule.path.file_stem().unwrap_or_default().to_string_lossy();
        findings.push(of_file(&rule.path, FindingName::RuleWithoutExample, problem).remedy(format!(
            "add an event of the version before and its expected result to {name}.examples.json"
        )));
    }
    findings
}

fn of_file(path: &Path, name: FindingName, problem: String) -> Finding {
    // Of the path, what is below the folder of the schemas: context, event type and file.
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let below = &parts[parts.len().saturating_sub(3)..];
    let event_type = below.get(1).map(ToString::to_string);
    let version = below.last().and_then(|file| file.strip_prefix('v')?.split('.').next()?.parse().ok());
    let finding = Finding::of_file(&below.join("/"), name, problem).breaks(&[Affected::Relay]);
    Finding { event_type, version, ..finding }
}
