//! One configuration file, every key overridable by environment.
//!
//! `AQUEDUCT_RELAY__LANES=8` overrides `lanes` in `[relay]`: prefix, then the path with two underscores
//! between its parts. `AQUEDUCT_POSTGRES__URL_FILE=/run/secrets/url` takes the value of `url` in
//! `[postgres]` from a file, without the line end: the way for secrets. An unknown key is an error.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::de::DeserializeOwned;

const PREFIX: &str = "AQUEDUCT_";
/// Variables with the prefix that are no configuration keys: where this file is, and what `aqueduct-devstack` reads.
const NOT_KEYS: [&str; 3] = ["CACHE", "CONFIG", "POSTGRES_FROM"];
const SECRET_SUFFIX: &str = "_FILE";

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not readable.
    #[error("configuration file {path} can't be read: create it, or name another with --config")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret's file is not there, or not readable.
    #[error("{variable} names {path}, which can't be read")]
    Secret {
        /// The environment variable.
        variable: String,
        /// The file it names.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key does not exist.
    #[error("{place}: there is no key `{key}`{hint}")]
    UnknownKey {
        /// The file, or the environment.
        place: String,
        /// Full path of the key, `relay.lane`.
        key: String,
        /// The nearest key there is, as a question.
        hint: String,
    },
    /// A value is missing, or of the wrong form.
    #[error("{place}: `{key}`: {problem}")]
    Value {
        /// The file, or the environment.
        place: String,
        /// Full path of the key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads the file, then lets the environment override it. `T` and all its parts should
/// `deny_unknown_fields`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    let mut figment = Figment::from(Toml::string(&text)).merge(plain_variables());
    // Variables of others may hold any bytes.
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    for (variable, value) in std::env::vars_os().filter_map(text) {
        if let Some((key, file)) = secret(&variable, &value) {
            let secret = std::fs::read_to_string(&file).map_err(|source| ConfigError::Secret {
                variable,
                path: file,
                source,
            })?;
            figment = figment.merge(Serialized::default(&key, secret.trim_end_matches(['\r', '\n'])));
        }
    }
    let mut mended = BTreeSet::new();
    loop {
        match figment.extract() {
            Ok(config) => return Ok(config),
            Err(error) => match taken_for_something_else(&error) {
                Some((key, text)) if mended.insert(key.clone()) => {
                    figment = figment.merge(Serialized::default(&key, text));
                }
                _ => return Err(explain(error, path)),
            },
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

fn plain_variables() -> Env {
    Env::prefixed(PREFIX)
        .filter(|key| !key.as_str().ends_with(SECRET_SUFFIX) && !NOT_KEYS.iter().any(|name| key == name))
        .split("__")
}

/// The environment variable that overrides a key, `AQUEDUCT_KAFKA__BROKERS` of `kafka.brokers`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn secret(variable: &str, value: &str) -> Option<(String, PathBuf)> {
    let name = variable.strip_prefix(PREFIX)?.strip_suffix(SECRET_SUFFIX)?;
    Some((name.to_lowercase().replace("__", "."), PathBuf::from(value)))
}

fn explain(error: figment::Error, path: &Path) -> ConfigError {
    // What is missing has no place; a secret from a file came by a variable too.
    let from_file = error.metadata.as_ref().is_none_or(|metadata| metadata.name.contains("TOML"));
    let place = match from_file {
        true => path.display().to_string(),
        false => format!("environment ({PREFIX}…)"),
    };
    let key = error.path.join(".");
    match error.kind {
        Kind::UnknownField(name, known) => {
            // figment reports the path down to the unknown field itself or to its parent, by provider.
            let key = match error.path.last() {
                Some(last) if *last == name => key,
                _ if key.is_empty() => name.clone(),
                _ => format!("{key}.{name}"),
            };
            ConfigError::UnknownKey { place, key, hint: hint(&name, known) }
        }
        Kind::MissingField(name) => {
            let key = if key.is_empty() { name.into_owned() } else { format!("{key}.{name}") };
            ConfigError::Value { place, key, problem: "is missing".into() }
        }
        // What was found may be a password of digits.
        Kind::InvalidType(_, wanted) => {
            ConfigError::Value { place, key, problem: format!("is of the wrong type, expected {wanted}") }
        }
        kind => ConfigError::Value { place, key, problem: kind.to_string() },
    }
}

fn hint(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
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
    }

    fn read(toml: &str) -> Result<Sample, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        load(file.path())
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = read("[relay]\nlane = 1").unwrap_err().to_string();
        assert!(error.ends_with("there is no key `relay.lane`, did you mean `lanes`?"), "{error}");
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
    fn a_secret_variable_names_a_key_and_a_file() {
        let expected = Some(("postgres.url".to_owned(), PathBuf::from("/run/secrets/url")));
        assert_eq!(secret("AQUEDUCT_POSTGRES__URL_FILE", "/run/secrets/url"), expected);
        assert_eq!(secret("AQUEDUCT_RELAY__LANES", "8"), None);
        assert_eq!(secret("OTHER_FILE", "x"), None);
    }
}
