//! Configuration from the environment, in a process of its own: the environment belongs to all threads.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]
#![expect(clippy::result_large_err, reason = "figment's error, in what a jail runs")]

use aqueduct::Configuration;
use figment::Jail;

/// Reads a configuration with these lines in `[kafka.properties]`, these variables and these secrets, each in a
/// file that a variable names.
fn properties(toml: &str, variables: &[(&str, &str)], secrets: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut read = None;
    Jail::expect_with(|jail| {
        jail.create_file("aqueduct.toml", &format!("[kafka]\nprefix = 'a'\n[kafka.properties]\n{toml}"))?;
        for (name, value) in variables {
            jail.set_env(format!("AQUEDUCT_KAFKA__PROPERTIES__{name}"), value);
        }
        for (name, secret) in secrets {
            jail.create_file(name, &format!("{secret}\n"))?;
            jail.set_env(format!("AQUEDUCT_KAFKA__PROPERTIES__{name}_FILE"), name);
        }
        read = Some(Configuration::load("aqueduct.toml".as_ref()));
        Ok(())
    });
    read.unwrap().unwrap().kafka.properties.into_iter().collect()
}

fn expected(properties: &[(&str, &str)]) -> Vec<(String, String)> {
    properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_property_of_librdkafka_can_be_written_with_underscores() {
    let toml = "\"sasl.username\" = 'aqueduct'\nsecurity_protocol = 'sasl_ssl'";
    let read = properties(toml, &[], &[]);
    assert_eq!(read, expected(&[("sasl.username", "aqueduct"), ("security.protocol", "sasl_ssl")]));
}

#[test]
fn the_environment_overrides_a_property_however_the_file_writes_it() {
    let toml = "\"sasl.username\" = 'a'\nsasl_mechanism = 'PLAIN'";
    let variables = [("SASL_USERNAME", "0123"), ("SASL_MECHANISM", "SCRAM-SHA-512")];
    let read = properties(toml, &variables, &[]);
    assert_eq!(read, expected(&[("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", "0123")]));
}

#[test]
fn a_secret_property_comes_from_a_file() {
    let secrets = [("SASL_PASSWORD", "0123"), ("SSL_KEY_PASSWORD", "a b=c")];
    let read = properties("\"sasl.password\" = 'old'", &[], &secrets);
    assert_eq!(read, expected(&[("sasl.password", "0123"), ("ssl.key.password", "a b=c")]));
}

#[test]
fn a_variable_that_is_not_a_key_is_a_warning() {
    Jail::expect_with(|jail| {
        jail.create_file("aqueduct.toml", "")?;
        jail.set_env("AQUEDUCT_RELAY_LANES", "8");
        let configuration = Configuration::load("aqueduct.toml".as_ref()).unwrap();
        assert_eq!(configuration.relay.lanes.get(), 1);
        let [warning] = &configuration.warnings[..] else { panic!("{:?}", configuration.warnings) };
        assert!(warning.contains("AQUEDUCT_RELAY_LANES") && warning.contains("two underscores"), "{warning}");
        Ok(())
    });
}

#[test]
fn a_variable_that_looks_like_a_key_and_is_none_is_an_error() {
    for (variable, value, says) in [
        ("AQUEDUCT_RELAY__LANE", "8", "there is no key `relay.lane`, did you mean `lanes`?"),
        ("AQUEDUCT_POSTGRES_FILE", "secret", "`postgres`: is of the wrong type"),
        ("AQUEDUCT_POSTGRES__URI_FILE", "secret", "there is no key `postgres.uri`, did you mean `url`?"),
    ] {
        Jail::expect_with(|jail| {
            jail.create_file("aqueduct.toml", "")?;
            jail.create_file("secret", "0123")?;
            jail.set_env(variable, value);
            let error = Configuration::load("aqueduct.toml".as_ref()).err().unwrap().to_string();
            let expected = format!("environment variable {variable}: {says}");
            assert!(error.starts_with(&expected), "{error}");
            Ok(())
        });
    }
}
