//! What is wrong with a configuration, in words.

use std::path::{Path, PathBuf};

use figment::error::Kind;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist, or is not readable.
    #[error(
        "configuration file {path} cannot be read: write one with the command `init`, or name another with --config"
    )]
    File {
        /// Path of the configuration file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret's file does not exist, or is not readable.
    #[error("{variable} names {path}, which cannot be read")]
    Secret {
        /// Name of the environment variable, `AQUEDUCT_…_FILE`.
        variable: String,
        /// Path that the variable contains.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key does not exist.
    #[error("{place}: there is no key `{key}`{hint}")]
    UnknownKey {
        /// The file, or the environment variable.
        place: String,
        /// Full path of the key, `relay.lane`.
        key: String,
        /// The nearest key there is, as a question.
        hint: String,
    },
    /// A key that must be given is not.
    #[error("{place}: `{key}`: is missing")]
    Missing {
        /// Path of the file.
        place: String,
        /// Full path of the key.
        key: String,
    },
    /// A value is of the wrong form.
    #[error("{place}: `{key}`: {problem}")]
    Value {
        /// The file, or the environment variable.
        place: String,
        /// Full path of the key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is not TOML.
    #[error("{place} is not a TOML file: {problem}")]
    Syntax {
        /// Path of the file.
        place: String,
        /// What is wrong, with line and column.
        problem: String,
    },
}

/// `also_known` are names of sections that the error itself does not know.
pub(super) fn explain(error: figment::Error, path: &Path, also_known: &[String]) -> ConfigError {
    // What is missing has no place.
    let place = error.metadata.as_ref().map_or_else(|| path.display().to_string(), |it| it.name.to_string());
    let key = error.path.join(".");
    match error.kind {
        Kind::UnknownField(name, known) => {
            // figment reports the path down to the unknown field itself or to its parent, by provider.
            let (key, parent_is_root) = match error.path.as_slice() {
                [only] if *only == name => (key, true),
                [.., last] if *last == name => (key, false),
                [] => (name.clone(), true),
                _ => (format!("{key}.{name}"), false),
            };
            let also_known = if parent_is_root { also_known } else { &[] };
            let known = known.iter().copied().chain(also_known.iter().map(String::as_str));
            ConfigError::UnknownKey { place, key, hint: hint(&name, known) }
        }
        Kind::UnknownVariant(value, known) => {
            let hint = hint(&value, known.iter().copied());
            ConfigError::Value { place, key, problem: format!("there is no value `{value}`{hint}") }
        }
        Kind::MissingField(name) => {
            let key = if key.is_empty() { name.into_owned() } else { format!("{key}.{name}") };
            ConfigError::Missing { place, key }
        }
        // What was found may be a password of digits.
        Kind::InvalidType(_, wanted) => {
            ConfigError::Value { place, key, problem: format!("is of the wrong type, expected {wanted}") }
        }
        kind if key.is_empty() => {
            ConfigError::Syntax { place, problem: kind.to_string().trim_end().to_owned() }
        }
        kind => ConfigError::Value { place, key, problem: kind.to_string() },
    }
}

fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known.min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}
