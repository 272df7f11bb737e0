//! The environment as a source of configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use figment::value::Value;

use super::ConfigError;
use super::layer::Layer;

const PREFIX: &str = "AQUEDUCT_";
/// Variables with the prefix that are not configuration keys: where the file is, what `aqueduct-devstack` reads, and what only
/// consumers in other languages read, which are set in the same shell.
const NOT_KEYS: [&str; 7] =
    ["BATCH", "CACHE", "CONFIG", "HTTP__CONSUMER", "KAFKA__GROUP", "POSTGRES_FROM", "TOPICS"];
const SECRET_SUFFIX: &str = "_FILE";

/// What a variable with the product's prefix means.
#[derive(Debug, PartialEq)]
enum Meaning {
    /// The value of a key.
    Key(String),
    /// The file that contains the value of a key.
    Secret(String, PathBuf),
    /// Not for the configuration.
    Other,
    /// Nothing that is known.
    Unknown,
}

/// The layers of the environment, secrets last, and warnings about variables that mean nothing.
pub(super) fn read() -> Result<(Vec<Layer>, Vec<String>), ConfigError> {
    let (mut plain, mut secrets, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (variable, value) in ours() {
        let place = format!("environment variable {variable}");
        match meaning(&variable, &value) {
            Meaning::Key(key) => {
                // Parsing never fails: what is not a number, a boolean, a list or a table is text.
                let parsed = value.parse().unwrap_or_else(|_| Value::from(value.as_str()));
                plain.push(Layer::of_key(place, &key, parsed));
            }
            Meaning::Secret(key, file) => {
                let secret = std::fs::read_to_string(&file).map_err(|source| ConfigError::Secret {
                    variable,
                    path: file,
                    source,
                })?;
                let secret = secret.trim_end_matches(['\r', '\n']);
                secrets.push(Layer::of_key(place, &key, Value::from(secret)));
            }
            Meaning::Unknown => warnings.push(format!(
                "{place} is not a configuration key and is ignored: two underscores follow the section, as in \
                 {PREFIX}KAFKA__BROKERS"
            )),
            Meaning::Other => {}
        }
    }
    plain.append(&mut secrets);
    Ok((plain, warnings))
}

/// The variables with the product's prefix, in a stable order. Variables of others may contain any bytes.
fn ours() -> BTreeMap<String, String> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with(PREFIX)).collect()
}

fn meaning(variable: &str, value: &str) -> Meaning {
    let Some(name) = variable.strip_prefix(PREFIX) else { return Meaning::Other };
    if NOT_KEYS.contains(&name) {
        Meaning::Other
    } else if let Some(key) = name.strip_suffix(SECRET_SUFFIX) {
        Meaning::Secret(as_key(key), PathBuf::from(value))
    } else if name.contains("__") {
        Meaning::Key(as_key(name))
    } else {
        Meaning::Unknown
    }
}

fn as_key(name: &str) -> String {
    name.to_lowercase().replace("__", ".")
}

/// The environment variable that overrides a key, `AQUEDUCT_KAFKA__BROKERS` of `kafka.brokers`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_variable_means() {
        let key = |key: &str| Meaning::Key(key.to_owned());
        let secret = |key: &str| Meaning::Secret(key.to_owned(), PathBuf::from("v"));
        for (variable, expected) in [
            ("AQUEDUCT_RELAY__LANES", key("relay.lanes")),
            ("AQUEDUCT_KAFKA__PROPERTIES__SASL_USERNAME", key("kafka.properties.sasl_username")),
            ("AQUEDUCT_POSTGRES__URL_FILE", secret("postgres.url")),
            ("AQUEDUCT_POSTGRES_FILE", secret("postgres")),
            ("AQUEDUCT_POSTGRES_FROM", Meaning::Other),
            ("AQUEDUCT_CONFIG", Meaning::Other),
            ("AQUEDUCT_HTTP__CONSUMER", Meaning::Other),
            ("AQUEDUCT_KAFKA__GROUP", Meaning::Other),
            ("AQUEDUCT_TOPICS", Meaning::Other),
            ("OTHER__KEY", Meaning::Other),
            ("AQUEDUCT_RELAY_LANES", Meaning::Unknown),
        ] {
            assert_eq!(meaning(variable, "v"), expected, "{variable}");
        }
    }

    #[test]
    fn the_variable_of_a_key_means_that_key() {
        let key = "kafka.properties.sasl_username";
        assert_eq!(meaning(&variable(key), "v"), Meaning::Key(key.to_owned()));
    }
}
