//! The directory of a projection.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::sql::error::DefinitionError;
use crate::sql::statement::Statement;
use crate::sql::type_entry::TypeEntry;

/// The file with the projection's topics and types.
const FILE: &str = "projection.toml";

/// A name of Postgres has at most 63 bytes, and the history of the migrations has the projection's.
const LONGEST_NAME: usize = 40;

/// A projection that is a directory of SQL files: `projection.toml`, and for each event type a file with the statement that
/// applies its events. See `docs/sql-projections.md` of the crate `aqueduct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProjection {
    pub(crate) directory: PathBuf,
    pub(crate) name: &'static str,
    pub(crate) topics: &'static [&'static str],
    pub(crate) ignored: Vec<String>,
    pub(crate) on_failure: OnFailure,
    pub(crate) types: BTreeMap<String, EventTypeFiles>,
}

/// The files of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventTypeFiles {
    /// The version that they are written for. `None`: whatever an event's writer has written.
    pub(crate) version: Option<u32>,
    /// In the order in which they run.
    pub(crate) statements: Vec<Statement>,
}

/// What happens to an event that cannot be read or applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    #[default]
    Park,
    Halt,
}

/// `projection.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Instead of the directory's name.
    name: Option<String>,
    topics: Vec<String>,
    types: BTreeMap<String, TypeEntry>,
    #[serde(default)]
    ignored: Vec<String>,
    #[serde(default)]
    on_failure: OnFailure,
}

impl SqlProjection {
    /// Reads all projections of a directory: each of its directories is one, unless its name begins with a dot. In the order
    /// of the directories' names.
    pub fn load_all(directory: &Path) -> Result<Vec<Self>, DefinitionError> {
        let unreadable = |source| DefinitionError::Read { path: directory.to_owned(), source };
        let mut directories = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Kubernetes and version control keep directories of their own.
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && entry.path().is_dir() {
                directories.push(entry.path());
            }
        }
        if directories.is_empty() {
            return Err(DefinitionError::Empty { path: directory.to_owned() });
        }
        directories.sort();
        directories.iter().map(|path| Self::load(path)).collect()
    }

    /// Reads the projection of a directory. Asks no server.
    pub fn load(directory: &Path) -> Result<Self, DefinitionError> {
        let path = directory.join(FILE);
        let mistake = |problem: String| DefinitionError::Definition { path: path.clone(), problem };
        let File { name, topics, types, ignored, on_failure } =
            toml::from_str(&read(&path)?).map_err(|error| mistake(error.to_string()))?;
        let name = name.or_else(|| Some(directory.file_name()?.to_str()?.to_owned()));
        let name = name.ok_or_else(|| mistake("name is missing, and the directory has none".to_owned()))?;
        if !is_name(&name) {
            return Err(mistake(format!(
                "name {name:?}: use at most {LONGEST_NAME} lower-case letters, digits and _"
            )));
        }
        if topics.is_empty() {
            return Err(mistake("topics is empty: name at least one".to_owned()));
        }
        if let Some(both) = ignored.iter().find(|ignored| types.contains_key(*ignored)) {
            return Err(mistake(format!("{both} is in types and in ignored")));
        }
        let mut files_of_types = BTreeMap::new();
        for (event_type, entry) in types {
            let (version, files) = entry.parts(&event_type);
            if version == Some(0) {
                return Err(mistake(format!("types.{event_type}: versions count from 1")));
            }
            if files.is_empty() {
                return Err(mistake(format!(
                    "types.{event_type} has no file: name one, or add the type to ignored"
                )));
            }
            let of_type = files.iter().map(|file| {
                let path = directory.join(file);
                Statement::parse(&path, &read(&path)?)
            });
            let statements = of_type.collect::<Result<_, DefinitionError>>()?;
            files_of_types.insert(event_type, EventTypeFiles { version, statements });
        }
        let topics: Vec<&'static str> = topics.into_iter().map(leaked).collect();
        let (directory, name) = (directory.to_owned(), leaked(name));
        Ok(Self { directory, name, topics: topics.leak(), ignored, on_failure, types: files_of_types })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The path of `projection.toml`.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

/// Projections are read once and live as long as the process.
fn leaked(text: String) -> &'static str {
    text.leak()
}

fn read(path: &Path) -> Result<String, DefinitionError> {
    fs::read_to_string(path).map_err(|source| DefinitionError::Read { path: path.to_owned(), source })
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(definition: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write(FILE, definition);
        write("insert.sql", "insert into t select e.stream from $events e");
        write("wrong.sql", "drop table t");
        directory
    }

    #[test]
    fn a_directory_is_a_projection() {
        let definition =
            "name = \"orders\"\ntopics = [\"shop.orders\"]\nignored = [\"B\"]\n[types]\nA = [\"insert.sql\"]";
        let directory = directory(definition);
        let SqlProjection { name, topics, ignored, types, .. } =
            SqlProjection::load(directory.path()).unwrap();
        assert_eq!((name, topics, ignored), ("orders", &["shop.orders"][..], vec!["B".to_owned()]));
        assert_eq!((types["A"].version, types["A"].statements.len()), (None, 1));
    }

    #[test]
    fn a_type_has_a_version_files_or_both() {
        let definition = "name = \"n\"\ntopics = [\"t\"]\non_failure = \"halt\"\n[types]\ninsert = 2\n\
                          B = { version = 3, files = [\"insert.sql\", \"insert.sql\"] }";
        let projection = SqlProjection::load(directory(definition).path()).unwrap();
        let types = projection.types.values().map(|of| (of.version, of.statements.len())).collect::<Vec<_>>();
        assert_eq!(types, [(Some(3), 2), (Some(2), 1)]);
        assert_eq!(projection.on_failure, OnFailure::Halt);
    }

    #[test]
    fn a_directory_without_projections_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("..data")).unwrap();
        let problem = SqlProjection::load_all(directory.path()).unwrap_err().to_string();
        assert!(problem.contains("has no projection"), "{problem}");
    }

    #[test]
    fn a_mistake_is_named_with_its_file() {
        let with = |rest: &str| format!("name = \"n\"\ntopics = [\"t\"]\n{rest}");
        for (definition, expected) in [
            (
                with("ignored = [\"A\"]\n[types]\nA = [\"insert.sql\"]"),
                "projection.toml: A is in types and in ignored",
            ),
            (with("[types]\nA = []"), "projection.toml: types.A has no file"),
            (with("[types]\nA = [\"wrong.sql\"]"), "wrong.sql, line 1: a statement begins with"),
            (with("[types]\nA = [\"missing.sql\"]"), "missing.sql cannot be read"),
            (with("[types]\n[colour]"), "unknown field `colour`"),
            (with("on_failure = \"skip\"\n[types]"), "unknown variant `skip`, expected `park` or `halt`"),
            (with("[types]\nA = { versions = 2 }"), "write a version, a list of files, or"),
            (with("[types]\nA = { version = 0, files = [\"insert.sql\"] }"), "versions count from 1"),
            ("name = \"n\"\ntopics = []\n[types]".to_owned(), "projection.toml: topics is empty"),
            ("name = \"N-1\"\ntopics = [\"t\"]\n[types]".to_owned(), "name \"N-1\""),
        ] {
            let directory = directory(&definition);
            let problem = SqlProjection::load(directory.path()).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
