//! The links between the pages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{ROOT, files_below};

/// Where the pages are.
const FOLDERS: [&str; 4] = ["crates", "deploy", "schemas", "tests"];

/// The pages of the repository.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = vec![root.join("README.md")];
    for folder in FOLDERS {
        let found = files_below(Path::new(folder), "md");
        pages.extend(found.into_iter().map(|(path, _)| root.join(folder).join(path)));
    }
    pages
}

/// The text of a page outside its blocks of code.
fn prose(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap().split("```").step_by(2).collect()
}

/// The anchors of a page's headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
}

#[test]
fn each_link_between_pages_leads_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for page in pages() {
        for after in prose(&page).split("](").skip(1) {
            let link = after.split(')').next().unwrap_or_default();
            if link.starts_with("http") {
                continue;
            }
            links += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            if !target.exists() || (!fragment.is_empty() && !anchors(&target).contains(fragment)) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 40, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}
