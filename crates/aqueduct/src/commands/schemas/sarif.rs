//! Findings in the Static Analysis Results Interchange Format (SARIF) 2.1.0 of OASIS.

use std::collections::BTreeSet;

use aqueduct_evolution::Finding;
use serde_json::{Value, json};

/// A log with one run. A finding with a waiver is suppressed.
pub(super) fn report(findings: &[Finding]) -> Value {
    let names: BTreeSet<String> = findings.iter().map(|finding| finding.name.to_string()).collect();
    let rules: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "aqueduct schemas check", "rules": rules } },
            "originalUriBaseIds": { "SCHEMAS": { "description": { "text": "the folder of the schemas" } } },
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let affected: Vec<String> = finding.affected.iter().map(ToString::to_string).collect();
    let text = format!("{}. Breaks: {}. To do: {}", finding.problem, affected.join("; "), finding.remedy);
    let mut result = json!({
        "ruleId": finding.name,
        "level": "error",
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": finding.file, "uriBaseId": "SCHEMAS" },
                "region": { "startLine": 1 },
            },
        }],
    });
    if let Some(reason) = &finding.waived {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}
