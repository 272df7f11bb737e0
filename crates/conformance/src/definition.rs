//! The file that describes a consumer to the kit.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Deserializer};

use crate::generated::GeneratedStreams;
use crate::history::MAX_EVENTS;
use crate::signal::{default_stop_signal, deserialize_signal};
use crate::table_name::{TableName, is_name};

/// What the kit must know of a consumer. Paths are relative to the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the projection, also of the role as which the consumer connects.
    pub(crate) projection: String,
    /// The topics of the history.
    pub(crate) topics: Vec<String>,
    /// Partitions of each topic.
    #[serde(default = "default_partitions")]
    pub(crate) partitions: u8,
    /// Folder of the Avro schemas, `<context>/<Event>/vN.avsc`.
    pub(crate) schemas: PathBuf,
    /// Folders of the SQL files that create the tables, applied in the order of their names in each folder.
    #[serde(deserialize_with = "deserialize_folders")]
    pub(crate) migrations: Vec<PathBuf>,
    /// The tables that are compared.
    pub(crate) tables: Vec<TableName>,
    /// Columns that are not compared, `schema.table.column`.
    #[serde(default)]
    pub(crate) excluded_columns: Vec<String>,
    /// The events, JSON lines; none: they are generated.
    pub(crate) history: Option<PathBuf>,
    /// The streams that are generated from the schemas in place of a history.
    #[serde(default)]
    pub(crate) generated: Vec<GeneratedStreams>,
    /// A query of one boolean: whether a consumer that has read everything has nothing left to do.
    pub(crate) idle: Option<String>,
    /// Whether the consumer is Aqueduct's own runner, which works on the tables of the schema `aqueduct` itself.
    #[serde(default)]
    pub(crate) runner: bool,
    /// Statements with which a person lets the consumer continue after topics were created again; none: those of
    /// `aqueduct projection accept`.
    pub(crate) accept: Option<String>,
    /// The longest time without progress, in seconds.
    #[serde(default = "default_idle_timeout")]
    pub(crate) idle_timeout_seconds: u64,
    /// What asks the consumer to stop.
    #[serde(default = "default_stop_signal", deserialize_with = "deserialize_signal")]
    pub(crate) stop_signal: Signal,
    /// How long stopping may take.
    #[serde(default = "default_stop_timeout")]
    pub(crate) stop_timeout_seconds: u64,
}

/// A folder or a list of them.
fn deserialize_folders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a folder or a list of folders")]
    enum Folders {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(match Folders::deserialize(deserializer)? {
        Folders::One(folder) => vec![folder],
        Folders::Many(folders) => folders,
    })
}

fn default_partitions() -> u8 {
    4
}

fn default_idle_timeout() -> u64 {
    60
}

fn default_stop_timeout() -> u64 {
    30
}

/// The file that describes a consumer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct DefinitionError {
    path: PathBuf,
    problem: String,
}

impl Definition {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, has unknown or missing keys, or a value that is not allowed.
    pub fn read(path: &Path) -> Result<Self, DefinitionError> {
        let refused = |problem: String| DefinitionError { path: path.to_owned(), problem };
        let text = fs::read_to_string(path).map_err(|error| {
            refused(format!("cannot be read: {error}; it describes the consumer, see docs/consumer-kit.md"))
        })?;
        let mut definition: Self =
            toml::from_str(&text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        definition.check().map_err(refused)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = std::iter::once(&mut definition.schemas).chain(&mut definition.history);
        for file in files.chain(&mut definition.migrations) {
            let absolute = folder.join(&*file).canonicalize();
            *file = absolute.map_err(|error| refused(format!("{}: {error}", file.display())))?;
        }
        Ok(definition)
    }

    fn check(&self) -> Result<(), String> {
        if self.projection.len() > 40 || !is_name(&self.projection) {
            return Err("projection: at most 40 lower-case letters, digits and _".to_owned());
        }
        if self.topics.is_empty() || self.tables.is_empty() {
            return Err("topics and tables: at least one of each".to_owned());
        }
        if self.history.is_some() != self.generated.is_empty() {
            return Err("history or [[generated]]: one of them".to_owned());
        }
        if self.generated.iter().any(|kind| kind.streams == 0 || kind.longest == 0) {
            return Err("generated.streams and generated.longest: at least 1".to_owned());
        }
        if self.generated.iter().map(GeneratedStreams::most_events).sum::<usize>() > MAX_EVENTS {
            return Err(format!("generated: streams and longest may give more than {MAX_EVENTS} events"));
        }
        if self.partitions == 0 {
            return Err("partitions: at least 1".to_owned());
        }
        for (key, seconds) in [
            ("idle_timeout_seconds", self.idle_timeout_seconds),
            ("stop_timeout_seconds", self.stop_timeout_seconds),
        ] {
            if !(1..=3600).contains(&seconds) {
                return Err(format!("{key}: from 1 to 3600"));
            }
        }
        let is_column = |column: &str| self.tables.iter().any(|table| column_of(table, column).is_some());
        match self.excluded_columns.iter().find(|column| !is_column(column)) {
            Some(column) => {
                Err(format!("excluded_columns: \"{column}\" is not a column of one of the tables"))
            }
            None => Ok(()),
        }
    }

    /// The columns of a table that are not compared.
    pub(crate) fn excluded<'a>(&'a self, table: &'a TableName) -> impl Iterator<Item = &'a str> {
        self.excluded_columns.iter().filter_map(|column| column_of(table, column))
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        Duration::from_secs(self.stop_timeout_seconds)
    }
}

/// The name of a column without its table, if it is of this table.
fn column_of<'a>(table: &TableName, column: &'a str) -> Option<&'a str> {
    column.strip_prefix(&format!("{table}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "projection = 'invoices'\ntopics = ['shop.orders']\nschemas = '.'\nmigrations = '.'\n\
                        tables = ['billing.invoices']\nhistory = 'consumer-test.toml'\n";

    fn read(text: &str) -> Result<Definition, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("consumer-test.toml");
        fs::write(&path, text).unwrap();
        Definition::read(&path).map_err(|error| error.problem)
    }

    #[test]
    fn a_file_needs_no_more_than_what_has_no_default() {
        let definition = read(TEXT).unwrap();
        assert!(definition.schemas.is_absolute());
        assert_eq!(definition.stop_signal, Signal::SIGTERM);
    }

    #[test]
    fn a_mistake_is_named() {
        for (line, expected) in [
            ("tabels = []", "tabels"),
            ("stop_signal = 'TERM'", "SIGTERM"),
            ("partitions = 0", "partitions"),
            ("runner = 'yes'", "runner"),
            ("excluded_columns = ['billing.invoice.at']", "billing.invoice.at"),
        ] {
            let problem = read(&format!("{TEXT}{line}\n")).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        let problem = read(&TEXT.replace("history = 'consumer-test.toml'", "")).unwrap_err();
        assert!(problem.starts_with("history or [[generated]]"), "{problem}");
        let generated = "[[generated]]\ntopic = 'shop.orders'\ncategory = 'order'\nbegins = ['OrderCreated']";
        let problem = read(&format!("{TEXT}{generated}\n")).unwrap_err();
        assert!(problem.starts_with("history or [[generated]]"), "{problem}");
        let problem = read(&TEXT.replace("'invoices'", "'in voices'")).unwrap_err();
        assert!(problem.starts_with("projection"), "{problem}");
    }
}
