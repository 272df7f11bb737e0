//! Writer's schemas from the registry, by id, over plain HTTP.

use std::collections::HashMap;

use serde::Deserialize;

use crate::payload::Schema;

/// The registry can't be asked.
#[derive(Debug, thiserror::Error)]
#[error("schema registry: {url} can't be read; is it running and reachable?")]
pub struct RegistryError {
    url: String,
    source: reqwest::Error,
}

/// Schemas by id; each is fetched once.
pub(crate) struct Registry {
    client: reqwest::Client,
    url: String,
    schemas: HashMap<u32, Result<Schema, String>>,
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
}

impl Registry {
    pub(crate) fn new(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        let mut client = reqwest::Client::builder();
        if is_on_this_machine(&url) {
            // A proxy set in the environment would look for it on its own machine.
            client = client.no_proxy();
        }
        // What can't be built so can't be built at all.
        Self { client: client.build().unwrap_or_default(), url, schemas: HashMap::new() }
    }

    /// Fetches the schema unless it is there. One that the registry doesn't know, or that can't be read, is
    /// remembered as that.
    pub(crate) async fn fetch(&mut self, id: u32) -> Result<(), RegistryError> {
        if self.schemas.contains_key(&id) {
            return Ok(());
        }
        let url = format!("{}/schemas/ids/{id}", self.url);
        let failed = |source| RegistryError { url: url.clone(), source };
        let response = self.client.get(&url).send().await.map_err(failed)?;
        let schema = if response.status() == reqwest::StatusCode::NOT_FOUND {
            Err(format!("its schema id {id} is unknown to the registry"))
        } else {
            let answer: Answer = response.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
            Schema::parse(&answer.schema).map_err(|error| format!("its schema id {id}: {error}"))
        };
        self.schemas.insert(id, schema);
        Ok(())
    }

    /// A schema that was fetched, or why there is none.
    pub(crate) fn schema(&self, id: Option<u32>) -> Result<&Schema, &str> {
        let id = id.ok_or("its value is not in the wire format (0, schema id, Avro)")?;
        match self.schemas.get(&id) {
            Some(Ok(schema)) => Ok(schema),
            Some(Err(text)) => Err(text),
            None => Err("its schema was not fetched"),
        }
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
    async fn a_schema_is_fetched_once_and_one_that_is_unknown_is_remembered() {
        let good = r#"{"schema": "{\"type\": \"record\", \"name\": \"a.B\", \"fields\": []}"}"#;
        let bad = r#"{"schema": "{\"type\": \"nonsense\"}"}"#;
        let url = server(vec![("200 OK", good), ("404 Not Found", "{}"), ("200 OK", bad)]).await;
        let mut registry = Registry::new(&url);
        for id in [1, 2, 3, 1, 2, 3] {
            registry.fetch(id).await.unwrap();
        }
        assert_eq!(registry.schema(Some(1)).unwrap().full_name(), "a.B");
        assert_eq!(registry.schema(Some(2)).unwrap_err(), "its schema id 2 is unknown to the registry");
        assert!(
            registry.schema(Some(3)).unwrap_err().starts_with("its schema id 3: schema is not understood")
        );
        assert!(registry.schema(None).unwrap_err().starts_with("its value is not in the wire format"));
        let error = registry.fetch(4).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!("schema registry: {url}schemas/ids/4 can't be read; is it running and reachable?")
        );
    }
}
