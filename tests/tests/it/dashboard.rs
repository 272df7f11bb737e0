//! The Grafana dashboard and the alert rules use exactly the names that the product exports.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::ROOT;

/// The metric names in a text: words that begin with the product's prefix, without a histogram's suffixes.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| word.starts_with("aqueduct_"));
    metrics.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Every name of every crate's metrics module: the values of its string constants.
fn exported() -> BTreeSet<String> {
    let modules = ["aqueduct", "eventstore", "relay", "projection", "shop"];
    modules
        .iter()
        .flat_map(|module| {
            let source = read(&format!("crates/{module}/src/metrics.rs"));
            source.split('"').skip(1).step_by(2).flat_map(names).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("deploy/grafana/dashboards/aqueduct.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let shown: BTreeSet<_> = targets.flat_map(|target| names(target["expr"].as_str().unwrap())).collect();
    assert_eq!(shown, exported());
}

#[test]
fn the_alerts_use_only_metrics_that_exist() {
    let used: BTreeSet<_> = read("deploy/prometheus/rules.yml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr:").map(names))
        .flatten()
        .collect();
    assert!(!used.is_empty());
    let unknown: Vec<_> = used.difference(&exported()).cloned().collect();
    assert!(unknown.is_empty(), "no crate exports {unknown:?}");
}
