//! Findings in the Static Analysis Results Interchange Format (SARIF) 2.1.0 of OASIS.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use aqueduct_evolution::Finding;
use serde_json::{Value, json};

/// A log with one run. A finding with a waiver is suppressed. Files are named from where the command runs, as code hosts expect it for
/// the top of a repository.
pub(super) fn report(findings: &[Finding], folder: &Path) -> Value {
    let names: BTreeSet<String> = findings.iter().map(|finding| finding.name.to_string()).collect();
    let rules: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, folder)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "aqueduct schemas check", "rules": rules } },
            "results": results,
        }],
    })
}

fn result(finding: &Finding, folder: &Path) -> Value {
    let affected: Vec<String> = finding.affected.iter().map(ToString::to_string).collect();
    let text = format!("{}. Breaks: {}. To do: {}", finding.problem, affected.join("; "), finding.remedy);
    let mut result = json!({
        "ruleId": finding.name,
        "level": "error",
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&folder.join(&finding.file)) },
                "region": { "startLine": 1 },
            },
        }],
    });
    if let Some(reason) = &finding.waived {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// A path as a relative reference.
fn uri(path: &Path) -> String {
    let parts = path.components().filter(|part| !matches!(part, Component::CurDir));
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
