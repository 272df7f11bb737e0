//! The registry client: looks schemas up, and registers them where that is asked for.

use std::net::IpAddr;
use std::time::Duration;

use crate::registry::error::{BoxError, RegistryError, UNKNOWN};
use crate::registry::options::RegistryOptions;
use aqueduct_core::ErrorKind;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_subjects, get_schema_by_id, get_schema_by_subject_and_version, perform_sr_call,
    post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredSchema, SchemaType, SrCall, SuppliedSchema,
};
use serde_json::json;

/// A client of the registry. Keeps nothing but its connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    settings: SrSettings,
    url: String,
}

impl Registry {
    /// Prepares a client. Does not connect yet.
    pub fn new(options: &RegistryOptions) -> Result<Self, RegistryError> {
        let url = options.url.trim_end_matches('/').to_owned();
        let failed = |problem: String, source: Option<BoxError>| RegistryError {
            operation: "set-up",
            subject: url.clone(),
            problem,
            kind: ErrorKind::Stop,
            source,
        };
        let mut builder = SrSettings::new_builder(url.clone());
        builder.set_timeout(Duration::from_secs(options.timeout_seconds));
        if let Some(username) = &options.username {
            builder.set_basic_authorization(username, options.password.as_deref());
        }
        let mut client = reqwest::Client::builder();
        if is_on_this_machine(&url) {
            client = client.no_proxy();
        }
        if url.starts_with("http://") {
            // Reading the system's authorities takes some milliseconds of the start; only a redirect to https would need them.
            client = client.tls_certs_only([]);
        }
        if let Some(path) = &options.ca_file {
            let unusable = |error: BoxError| {
                failed(format!("the authority's file {} cannot be used", path.display()), Some(error))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.into()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            client = client.tls_certs_merge(authorities.map_err(|error| unusable(error.into()))?);
        }
        let settings = builder.build_with(client);
        let settings = settings.map_err(|error| failed(error.error.clone(), Some(error.into())))?;
        Ok(Self { settings, url })
    }

    /// Its URL, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id under which the subject holds exactly this schema. Never registers it.
    pub(crate) async fn look_up(&self, subject: &str, schema: &str) -> Result<Registered, RegistryError> {
        let body = json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let answer = perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await;
        let answer = answer.map_err(|error| self.failed("look-up", subject, error))?;
        match (answer.id, answer.version) {
            (Some(id), Some(version)) => Ok(Registered { id, version }),
            _ => Err(self.not_understood("look-up", subject)),
        }
    }

    /// Registers the schema under the subject; what it already holds keeps its id.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> Result<Registered, RegistryError> {
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let answer = post_schema(&self.settings, subject.to_owned(), supplied).await;
        answer.map_err(|error| self.failed("registration", subject, error))?;
        self.look_up(subject, schema).await
    }

    /// The Avro schema that has the id.
    pub(crate) async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let subject = || format!("schema id {id}");
        let answer = get_schema_by_id(id, &self.settings).await;
        let answer = answer.map_err(|error| match self.failed("look-up", &subject(), error) {
            // A record carries an id that the registry does not have: the record is bad, not the configuration.
            error if error.is_unknown() => RegistryError { kind: ErrorKind::Park, ..error },
            error => error,
        })?;
        usable(answer).map_err(|(kind, problem)| RegistryError {
            operation: "look-up",
            subject: subject(),
            problem: problem.to_owned(),
            kind,
            source: None,
        })
    }

    /// The schema that a subject has under a version of the registry's own.
    pub(crate) async fn schema_of(&self, subject: &str, version: u32) -> Result<String, RegistryError> {
        let named = format!("{subject}, version {version}");
        let answer = get_schema_by_subject_and_version(&self.settings, subject, Some(version)).await;
        usable(answer.map_err(|error| self.failed("look-up", &named, error))?).map_err(|(_, problem)| {
            RegistryError {
                operation: "look-up",
                subject: format!("{named} at {}", self.url),
                problem: problem.to_owned(),
                kind: ErrorKind::Stop,
                source: None,
            }
        })
    }

    /// All subjects.
    pub(crate) async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let subjects = get_all_subjects(&self.settings).await;
        subjects.map_err(|error| self.failed("look-up", "the subjects", error))
    }

    fn failed(&self, operation: &'static str, subject: &str, error: SRCError) -> RegistryError {
        let reply = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<RawError>());
        let code = reply.map(|reply| reply.error_code).filter(|code| *code != 0);
        // The client tells only 502 and 503 apart, and gives the status in its text alone.
        let status = error.error.rsplit_once("status ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let code = code.or(status);
        let class = code.map(|code| if code >= 1000 { code / 100 } else { code });
        let (kind, problem) = match class {
            Some(404) => (ErrorKind::Stop, UNKNOWN.to_owned()),
            Some(401 | 403) => {
                (ErrorKind::Stop, "access denied; check the user name and the password".to_owned())
            }
            Some(code @ (408 | 429 | 500..=599)) => {
                (ErrorKind::Retry, format!("the registry returned error {code}"))
            }
            None if error.retriable => {
                (ErrorKind::Retry, "cannot be reached; check that it runs and the URL is right".to_owned())
            }
            _ => (ErrorKind::Stop, "the registry refused".to_owned()),
        };
        let problem = match reply {
            Some(reply) if reply.error_code != 0 && class != Some(404) => {
                format!("{problem}: {}", reply.message)
            }
            _ => problem,
        };
        let subject = format!("{subject} at {}", self.url);
        RegistryError { operation, subject, problem, kind, source: Some(error.into()) }
    }

    fn not_understood(&self, operation: &'static str, subject: &str) -> RegistryError {
        RegistryError {
            operation,
            subject: format!("{subject} at {}", self.url),
            problem: "the response has no id or version; check that the URL is that of a schema registry"
                .to_owned(),
            kind: ErrorKind::Stop,
            source: None,
        }
    }
}

/// The text of a schema, or why it cannot be used and what that means for a record that names it: one whose schema is not Avro is
/// not meant for a reader of Avro, and any other would have to be read.
fn usable(schema: RegisteredSchema) -> Result<String, (ErrorKind, &'static str)> {
    match schema.schema_type {
        SchemaType::Avro if schema.references.is_empty() => Ok(schema.schema),
        SchemaType::Avro => Err((ErrorKind::Stop, "it refers to other subjects, which is not supported")),
        _ => Err((ErrorKind::Park, "it is not an Avro schema")),
    }
}

/// Whether no proxy can be on the way: one that is set in the environment would ask its own machine instead.
fn is_on_this_machine(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: u32,
    pub(crate) version: u32,
}

#[cfg(test)]
mod tests {
    use super::is_on_this_machine;

    #[test]
    fn a_registry_on_this_machine_is_asked_without_a_proxy() {
        for url in [
            "http://localhost:8081",
            "http://LOCALHOST",
            "http://127.0.0.1:8081/apis/ccompat/v7",
            "https://user:secret@127.8.8.8",
            "http://[::1]:8081",
        ] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in [
            "http://registry:8081",
            "http://localhost.example.org",
            "http://128.0.0.1",
            "http://[::2]:8081",
            "http://registry/?at=127.0.0.1",
            "registry",
        ] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }
}
