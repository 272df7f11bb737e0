//! The tests that the page of the guarantees names.

use std::path::Path;

use crate::support::{ROOT, files_below};

const PAGE: &str = "crates/aqueduct/docs/guarantees.md";

#[test]
fn each_test_that_covers_a_guarantee_exists() {
    let page = std::fs::read_to_string(Path::new(ROOT).join(PAGE)).unwrap();
    let (_, section) = page.split_once("\n## Tests\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let names: Vec<_> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20, "only {names:?} were found");
    let files: Vec<_> =
        ["crates", "tests"].iter().flat_map(|folder| files_below(Path::new(folder), "rs")).collect();
    let is_defined = |name: &str| files.iter().any(|(_, text)| text.contains(&format!("fn {name}(")));
    let missing: Vec<_> = names.iter().filter(|name| !is_defined(name)).collect();
    assert!(missing.is_empty(), "{PAGE} names tests that do not exist: {missing:?}");
}
