//! Writer's schemas from the registry, by id, over plain HTTP.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::options::Options;
use crate::payload::Schema;

/// The registry cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It did not answer, or with an error.
    #[error("schema registry: {url} cannot be read; is it running and reachable?")]
    Read {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The file of the authority that signed its certificate cannot be read.
    #[error("schema registry: the authority {path} cannot be read as PEM")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The registry's answers are bounded in time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The schemas of a registry.
pub(crate) struct Registry {
    client: reqwest::Client,
    url: String,
    /// Name and password.
    user: Option<(String, Option<String>)>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
}

impl Registry {
    pub(crate) fn new(options: &Options) -> Result<Self, RegistryError> {
        let url = options.registry.trim_end_matches('/').to_owned();
        let mut client = reqwest::Client::builder().timeout(PATIENCE);
        if let Some(path) = &options.registry_authority {
            let failed = |source| RegistryError::Authority { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(failed)?;
            let certificate = reqwest::Certificate::from_pem(&pem);
            client =
                client.add_root_certificate(certificate.map_err(|it| failed(std::io::Error::other(it)))?);
        }
        if is_on_this_machine(&url) {
            // A proxy set in the environment would look for it on its own machine.
            client = client.no_proxy();
        }
        let failed = |source| RegistryError::Read { url: url.clone(), source };
        let client = client.build().map_err(failed)?;
        let user = options.registry_username.clone().map(|name| (name, options.registry_password.clone()));
        Ok(Self { client, url, user })
    }

    /// Fetches a schema. The inner error says why there is none: the registry does not know the id, or what it
    /// has cannot be read.
    pub(crate) async fn schema(&self, id: u32) -> Result<Result<Schema, String>, RegistryError> {
        let url = format!("{}/schemas/ids/{id}", self.url);
        let failed = |source| RegistryError::Read { url: url.clone(), source };
        let mut request = self.client.get(&url);
        if let Some((name, password)) = &self.user {
            request = request.basic_auth(name, password.as_ref());
        }
        let response = request.send().await.map_err(failed)?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(Err(format!("its schema id {id} is unknown to the registry")));
        }
        let answer: Answer = response.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
        Ok(Schema::parse(&answer.schema).map_err(|error| format!("its schema id {id}: {error}")))
    }
}

fn is_on_this_machine(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with the next of these, then is gone.
    async fn server(answers: Vec<(&'static str, &'static str)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                assert!(socket.read(&mut request).await.unwrap() > 0);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[test]
    fn a_registry_on_this_machine_is_asked_without_a_proxy() {
        for url in ["http://localhost:8081", "http://127.8.8.8/api", "http://[::1]:8081"] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in ["http://registry:8081", "http://127.0.0.1.example.org", "http://[::2]", "registry"] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_schema_that_is_unknown_or_unreadable_is_told_from_a_silent_registry() {
        let good = r#"{"schema": "{\"type\": \"record\", \"name\": \"a.B\", \"fields\": []}"}"#;
        let bad = r#"{"schema": "{\"type\": \"nonsense\"}"}"#;
        let url = server(vec![("200 OK", good), ("404 Not Found", "{}"), ("200 OK", bad)]).await;
        let registry = Registry::new(&Options::new("", "", &url)).unwrap();
        assert_eq!(registry.schema(1).await.unwrap().unwrap().full_name(), "a.B");
        assert_eq!(
            registry.schema(2).await.unwrap().unwrap_err(),
            "its schema id 2 is unknown to the registry"
        );
        let unreadable = registry.schema(3).await.unwrap().unwrap_err();
        assert!(unreadable.starts_with("its schema id 3: schema is not understood"), "{unreadable}");
        let error = registry.schema(4).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!("schema registry: {url}schemas/ids/4 cannot be read; is it running and reachable?")
        );
    }
}
