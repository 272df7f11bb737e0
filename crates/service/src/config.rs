//! One configuration file, every key overridable by environment.
//!
//! `AQUEDUCT_RELAY__LANES=8` overrides `lanes` in `[relay]`: prefix, then the path with two underscores
//! between its parts. `AQUEDUCT_POSTGRES__URL_FILE=/run/secrets/url` takes the value of `url` in
//! `[postgres]` from a file, without the line end: the way for secrets. An unknown key is an error, in the
//! environment too; another variable with the prefix is a warning.

mod environment;
mod error;
mod layer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::Provider as _;
use figment::error::Kind;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

pub use self::environment::variable;
pub use self::error::ConfigError;
use self::layer::Layer;

/// A file and the environment that overrides it, read but not yet interpreted.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    layers: Vec<Layer>,
    warnings: Vec<String>,
    sections: Vec<String>,
}

/// Reads the file and lets the environment override it. `T` and all its parts should `deny_unknown_fields`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    Document::read(path, &[])?.rest()
}

impl Document {
    /// Reads the file and the environment. `moved` are keys of an earlier version and where they are now: both
    /// are understood, the new one wins, and each old one is a [warning](Self::warnings).
    pub fn read(path: &Path, moved: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let place = path.display().to_string();
        let keys = Toml::string(&text).data().map_err(|error| error::explain(error, path, &[]))?;
        let mut layers = vec![Layer::new(place, keys.into_values().next().unwrap_or_default())];
        let (variables, mut warnings) = environment::read()?;
        layers.extend(variables);
        for layer in &mut layers {
            for (old, new) in moved {
                if layer.rename(old, new) {
                    warnings.push(format!("{}: `{old}` is now `{new}`: rename it", layer.place));
                }
            }
        }
        Ok(Self { path: path.to_owned(), layers, warnings, sections: Vec::new() })
    }

    /// What the user should know, although the configuration can be used.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Interprets one section, and takes it out of what [`rest`](Self::rest) interprets. A section that is
    /// neither in the file nor in the environment counts as empty.
    pub fn section<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ConfigError> {
        self.sections.push(name.to_owned());
        let empty = Layer::of_key(self.path.display().to_string(), name, Value::from(Dict::new()));
        let parts: BTreeMap<String, T> = self.extract(Some(empty), &|section| section == name, &[])?;
        parts.into_values().next().ok_or_else(|| ConfigError::Missing {
            place: self.path.display().to_string(),
            key: name.to_owned(),
        })
    }

    /// Leaves a section to others: whatever it contains, it is not an unknown key.
    pub fn ignore(&mut self, name: &str) {
        self.sections.push(name.to_owned());
    }

    /// Interprets all sections but those that were taken or ignored.
    pub fn rest<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let taken = |section: &str| self.sections.iter().any(|taken| taken == section);
        self.extract(None, &|section| !taken(section), &self.sections)
    }

    fn extract<T: DeserializeOwned>(
        &self,
        below: Option<Layer>,
        wanted: &dyn Fn(&str) -> bool,
        also_known: &[String],
    ) -> Result<T, ConfigError> {
        let layers = below.iter().cloned().chain(self.layers.iter().map(|layer| layer.sections(wanted)));
        let mut figment = layers.fold(Figment::new(), Figment::merge);
        let mut texts = BTreeSet::new();
        loop {
            match figment.extract() {
                Ok(config) => return Ok(config),
                Err(error) => match taken_for_something_else(&error) {
                    Some((key, text)) if texts.insert(key.clone()) => {
                        let place = format!("environment variable {}", variable(&key));
                        figment = figment.merge(Layer::of_key(place, &key, Value::from(text)));
                    }
                    _ => return Err(error::explain(error, &self.path, also_known)),
                },
            }
        }
    }
}

/// The key and the text of a variable that looks like a number, a truth value or a list where a text is wanted: a
/// password may be `0123`.
fn taken_for_something_else(error: &figment::Error) -> Option<(String, String)> {
    let key = error.path.join(".");
    let wants_text = matches!(&error.kind, Kind::InvalidType(_, wanted) if ["a string", "path string"].contains(&&**wanted));
    let text = std::env::var(variable(&key)).ok().filter(|_| wants_text)?;
    Some((key, text))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        relay: Relay,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Relay {
        lanes: u32,
        #[serde(default)]
        prefix: String,
        #[serde(default)]
        policy: Policy,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Policy {
        #[default]
        Halt,
        Park,
    }

    fn document(toml: &str, moved: &[(&str, &str)]) -> Document {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        Document::read(file.path(), moved).unwrap()
    }

    fn read(toml: &str) -> Result<Sample, ConfigError> {
        document(toml, &[]).rest()
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = read("[relay]\nlane = 1").unwrap_err().to_string();
        assert!(error.ends_with("there is no key `relay.lane`, did you mean `lanes`?"), "{error}");
    }

    #[test]
    fn an_unknown_value_names_the_nearest_known_one() {
        let error = read("[relay]\nlanes = 1\npolicy = \"prak\"").unwrap_err().to_string();
        assert!(error.ends_with("`relay.policy`: there is no value `prak`, did you mean `park`?"), "{error}");
    }

    #[test]
    fn a_wrong_or_missing_value_names_its_key() {
        let error = read("[relay]\nlanes = \"many\"").unwrap_err().to_string();
        assert!(error.contains("`relay.lanes`: is of the wrong type, expected u32"), "{error}");
        let error = read("[relay]").unwrap_err().to_string();
        assert!(error.contains("`relay.lanes`: is missing"), "{error}");
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = load::<Sample>("/nowhere/aqueduct.toml".as_ref()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/aqueduct.toml") && error.contains("--config"), "{error}");
    }

    #[test]
    fn a_section_that_is_taken_or_ignored_is_not_unknown_to_the_rest() {
        let toml = "[relay]\nlanes = 1\n[bank]\nlanes = 2\n[demo]\nanything = 3";
        let mut document = document(toml, &[]);
        assert_eq!(document.section::<Relay>("bank").unwrap().lanes, 2);
        let error = document.rest::<Sample>().unwrap_err().to_string();
        assert!(error.contains("there is no key `demo`"), "{error}");
        document.ignore("demo");
        assert_eq!(document.rest::<Sample>().unwrap().relay.lanes, 1);
    }

    #[test]
    fn a_misspelt_section_may_be_near_one_that_was_taken() {
        let mut document = document("[relay]\nlanes = 1\n[banc]", &[]);
        document.ignore("bank");
        let error = document.rest::<Sample>().unwrap_err().to_string();
        assert!(error.ends_with("there is no key `banc`, did you mean `bank`?"), "{error}");
    }

    #[test]
    fn a_section_that_is_absent_is_empty() {
        let mut document = document("[relay]\nlanes = 1", &[]);
        let error = document.section::<Relay>("bank").unwrap_err().to_string();
        assert!(error.contains("`bank.lanes`: is missing"), "{error}");
    }

    #[test]
    fn a_moved_key_is_read_with_a_warning_and_the_new_one_wins() {
        let moved = [("http.lanes", "relay.lanes"), ("http.prefix", "relay.prefix")];
        let document = document("[http]\nlanes = 1\nprefix = 'a'\n[relay]\nlanes = 2", &moved);
        let sample: Sample = document.rest().unwrap();
        assert_eq!((sample.relay.lanes, sample.relay.prefix.as_str()), (2, "a"));
        let [lanes, prefix] = document.warnings() else { panic!("{:?}", document.warnings()) };
        assert!(lanes.ends_with("`http.lanes` is now `relay.lanes`: rename it"), "{lanes}");
        assert!(prefix.ends_with("`http.prefix` is now `relay.prefix`: rename it"), "{prefix}");
    }
}
