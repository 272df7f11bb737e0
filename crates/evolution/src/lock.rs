//! `released.lock`: what was released.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::fingerprint::Fingerprint;
use crate::version::VersionId;

const HEADER: &str = "\
# Written by `aqueduct schemas release`; commit it. A version that is listed here is frozen.
# On a conflict in a merge keep the lines of both sides, in any order; `aqueduct schemas release` sorts them.
";

/// The released versions, and which of them each topic has carried.
///
/// One line for each, sorted when it is written, and read in any order:
///
/// ```text
/// orders/OrderCreated v2 schema=<SHA-256> rules=<SHA-256, or none>
/// topic shop.orders carried orders/OrderCreated v2
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What was released, by version.
    pub versions: BTreeMap<VersionId, Released>,
    /// The versions that a topic has carried, by topic.
    pub carried: BTreeMap<String, BTreeSet<VersionId>>,
}

/// What a released version was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Of its schema.
    pub schema: Fingerprint,
    /// Of its upcast rules, if it has any.
    pub rules: Option<Fingerprint>,
}

/// Why a lock cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name cannot be written.
    #[error("{}: the name of a topic, a context or an event type has a space, a slash or a # in it: rename it", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// It was edited by hand, or merged wrongly.
    #[error("{}, line {line}: {problem}; restore the file from version control, then run `aqueduct schemas release`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Lock {
    /// The name of its file in the folder of the schemas.
    pub const FILE: &str = "released.lock";

    /// Reads the lock of a folder of schemas. One without the file has released nothing.
    pub fn read(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(Self::FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(LockError::File { path, source }),
        }
    }

    /// Reads the text of a lock; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        let refused = |number: usize, problem: String| LockError::Line {
            path: path.to_owned(),
            line: number + 1,
            problem,
        };
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let entry = Line::parse(line);
            let entry =
                entry.ok_or_else(|| refused(number, format!("{line:?} does not have the form of a line")))?;
            entries.push((entry.key(), number, entry));
        }
        // A merge may have left them in any order.
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut lock = Self::default();
        let mut last = None;
        for (key, number, entry) in entries {
            if last.as_ref() == Some(&key) {
                return Err(refused(number, "it is there twice".to_owned()));
            }
            lock.add(entry).map_err(|problem| refused(number, problem))?;
            last = Some(key);
        }
        Ok(lock)
    }

    /// Writes the lock of a folder of schemas, in one step: who reads it meanwhile reads the old or the new one.
    pub fn write(&self, folder: &Path) -> Result<(), LockError> {
        let path = folder.join(Self::FILE);
        let text = self.to_string();
        if !Self::parse(&text, &path).is_ok_and(|read| read == *self) {
            return Err(LockError::Name { path });
        }
        let failed = |source| LockError::File { path: path.clone(), source };
        let new = folder.join(format!(".{}.new", Self::FILE));
        let mut file = fs::File::create(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)
    }

    /// Whether nothing was released.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The versions of an event type that a topic has carried, in their order.
    pub fn carried(&self, topic: &str, event_type: &str) -> Vec<u32> {
        let carried = self.carried.get(topic).into_iter().flatten();
        carried.filter(|id| id.event_type == event_type).map(|id| id.version).collect()
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Version(id, released) => {
                let before = id.version.checked_sub(1).filter(|before| *before > 0);
                let before = before.map(|version| VersionId { version, ..id.clone() });
                if let Some(before) = before.filter(|before| !self.versions.contains_key(before)) {
                    return Err(format!("{id} is released and {before} is not: a line was removed"));
                }
                self.versions.insert(id, released);
            }
            Line::Carried(topic, id) => {
                if !self.versions.contains_key(&id) {
                    return Err(format!("topic {topic} carried {id}, which is not released"));
                }
                self.carried.entry(topic).or_default().insert(id);
            }
        }
        Ok(())
    }
}

/// Lines are sorted by versions, which come before topics.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Version(VersionId),
    Carried(String, VersionId),
}

enum Line {
    Version(VersionId, Released),
    Carried(String, VersionId),
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["topic", topic, "carried", event, version] => {
                Some(Self::Carried((*topic).to_owned(), format!("{event} {version}").parse().ok()?))
            }
            [event, version, schema, rules] => {
                let rules = match rules.strip_prefix("rules=")? {
                    "none" => None,
                    rules => Some(rules.parse().ok()?),
                };
                let schema = schema.strip_prefix("schema=")?.parse().ok()?;
                Some(Self::Version(format!("{event} {version}").parse().ok()?, Released { schema, rules }))
            }
            _ => None,
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Version(id, _) => Key::Version(id.clone()),
            Self::Carried(topic, id) => Key::Carried(topic.clone(), id.clone()),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        for (id, Released { schema, rules }) in &self.versions {
            match rules {
                Some(rules) => writeln!(f, "{id} schema={schema} rules={rules}")?,
                None => writeln!(f, "{id} schema={schema} rules=none")?,
            }
        }
        for (topic, versions) in &self.carried {
            for id in versions {
                writeln!(f, "topic {topic} carried {id}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let id = |event_type: &str, version| VersionId {
            context: "orders".to_owned(),
            event_type: event_type.to_owned(),
            version,
        };
        let released = Released { schema: Fingerprint::of_rules([("a", "b")]), rules: None };
        let ruled = Released { rules: Some(Fingerprint::of_rules([])), ..released };
        let versions = (1..=10).map(|version| (id("OrderCreated", version), ruled));
        let versions = versions.chain([(id("OrderRejected", 1), released)]).collect();
        let carried = BTreeSet::from([id("OrderCreated", 9), id("OrderCreated", 10)]);
        Lock { versions, carried: BTreeMap::from([("shop.orders".to_owned(), carried)]) }
    }

    #[test]
    fn a_lock_that_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lock::read(folder.path()).unwrap().is_empty());
        lock().write(folder.path()).unwrap();
        assert_eq!(Lock::read(folder.path()).unwrap(), lock());
        assert_eq!(lock().carried("shop.orders", "OrderCreated"), [9, 10]);
        assert!(lock().carried("shop.orders", "OrderRejected").is_empty());
    }

    #[test]
    fn lines_are_read_in_any_order_and_names_with_spaces_are_not_written() {
        let text = lock().to_string();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(Lock::parse(&lines.join("\n"), Path::new("released.lock")).unwrap(), lock());
        let folder = tempfile::tempdir().unwrap();
        for topic in ["shop orders", "shop\norders"] {
            let carried = BTreeMap::from([(topic.to_owned(), lock().carried["shop.orders"].clone())]);
            let error = Lock { carried, ..lock() }.write(folder.path()).unwrap_err().to_string();
            assert!(error.contains("has a space"), "{error}");
        }
        let versions = lock().versions.into_iter();
        let versions =
            versions.map(|(id, it)| (VersionId { context: "#orders".to_owned(), ..id }, it)).collect();
        Lock { versions, carried: BTreeMap::new() }.write(folder.path()).unwrap_err();
        assert!(Lock::read(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_line_that_was_edited_removed_repeated_or_moved_is_named() {
        let text = lock().to_string();
        let lines: Vec<&str> = text.lines().collect();
        let refusal = |lines: Vec<&str>| {
            Lock::parse(&lines.join("\n"), Path::new("released.lock")).unwrap_err().to_string()
        };
        let mut removed = lines.clone();
        removed.remove(3);
        assert!(
            refusal(removed)
                .contains("line 4: orders/OrderCreated v3 is released and orders/OrderCreated v2 is not")
        );
        let mut repeated = lines.clone();
        repeated.insert(4, lines[4]);
        assert!(refusal(repeated).contains("line 6: it is there twice"));
        let edited = lines[2].replace("schema=", "schema=x");
        assert!(refusal(vec![&edited]).contains("does not have the form of a line"));
        let last = lines[lines.len() - 1];
        assert!(
            refusal(vec![last])
                .contains("topic shop.orders carried orders/OrderCreated v10, which is not released")
        );
        assert!(
            refusal(vec!["<<<<<<< HEAD"])
                .contains("line 1: \"<<<<<<< HEAD\" does not have the form of a line")
        );
    }
}
