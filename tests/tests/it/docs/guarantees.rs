//! The tests that the page of the guarantees names.

use std::path::{Path, PathBuf};

use crate::support::ROOT;

const PAGE: &str = "crates/aqueduct/docs/guarantees.md";

/// All source files of the repository, one after the other.
fn sources() -> String {
    let mut folders: Vec<PathBuf> = ["crates", "tests"].iter().map(|it| Path::new(ROOT).join(it)).collect();
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

#[test]
fn each_test_that_covers_a_guarantee_exists() {
    let page = std::fs::read_to_string(Path::new(ROOT).join(PAGE)).unwrap();
    let (_, section) = page.split_once("\n## Tests\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let names: Vec<_> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20, "only {names:?} were found");
    let sources = sources();
    let missing: Vec<_> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{PAGE} names tests that do not exist: {missing:?}");
}
