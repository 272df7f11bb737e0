//! The policy's lines for topics: which event types each may carry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aqueduct_evolution::Policy;

use crate::failure::Failure;

const HEADER: &str = "\
# How the schemas may change, and which event types each topic may carry; see README.md of Aqueduct's schemas.
# compatibility = \"FULL_TRANSITIVE\"
# owner = \"…\"
";

/// Event types by topic.
pub(super) type Topics = BTreeMap<String, BTreeSet<String>>;

/// The lines of topics that the policy lacks, or whose event types it lacks; those with all of a topic's event types.
pub(super) fn missing(policy: &Policy, topics: &Topics) -> Topics {
    let mut missing = Topics::new();
    for (topic, events) in topics {
        let known: BTreeSet<String> =
            policy.topics.get(topic).map(|topic| topic.events.iter().cloned().collect()).unwrap_or_default();
        if !events.is_subset(&known) {
            missing.insert(topic.clone(), known.union(events).cloned().collect());
        }
    }
    missing
}

/// Topics as the policy writes them.
pub(super) fn lines(topics: &Topics) -> String {
    let of_topic = |(topic, events): (&String, &BTreeSet<String>)| {
        let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
        match events.iter().map(String::len).sum::<usize>() {
            0..80 => format!("[topics.{topic:?}]\nevents = [{}]\n", events.join(", ")),
            _ => format!("[topics.{topic:?}]\nevents = [\n  {},\n]\n", events.join(",\n  ")),
        }
    };
    topics.iter().map(of_topic).collect::<Vec<_>>().join("\n")
}

/// A whole policy with these topics.
pub(super) fn text(topics: &Topics) -> String {
    format!("{HEADER}\n{}", lines(topics))
}

/// Writes topics that the policy of a folder does not have, to a new file where there is none. Returns the file.
pub(super) fn add(folder: &Path, topics: &Topics) -> Result<PathBuf, Failure> {
    let path = folder.join(Policy::FILE);
    let failed = |error| format!("{}: cannot be written: {error}", path.display());
    let exists = path.try_exists().map_err(failed)?;
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
    let added = if exists { format!("\n{}", lines(topics)) } else { text(topics) };
    file.write_all(added.as_bytes()).map_err(failed)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(of: &[(&str, &[&str])]) -> Topics {
        let set = |events: &[&str]| events.iter().map(|event| (*event).to_owned()).collect();
        of.iter().map(|(topic, events)| ((*topic).to_owned(), set(events))).collect()
    }

    #[test]
    fn what_was_added_is_not_missing_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Policy::read(folder.path()).unwrap().unwrap_or_default();
        let first = topics(&[("a.b", &["One", "Two"])]);
        assert_eq!(missing(&read(), &first), first);
        add(folder.path(), &first).unwrap();
        assert!(missing(&read(), &first).is_empty());
        let second = topics(&[("a.b", &["Three"]), ("c", &["One"])]);
        let expected = topics(&[("a.b", &["One", "Three", "Two"]), ("c", &["One"])]);
        assert_eq!(missing(&read(), &second), expected);
        let long = "E".repeat(90);
        add(folder.path(), &topics(&[("c", &[&long, "One"])])).unwrap();
        assert_eq!(read().topics["c"].events, [long, "One".to_owned()]);
        assert_eq!(read().topics["a.b"].events, ["One", "Two"]);
    }
}
