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
        Self { client: reqwest::Client::new(), url, schemas: HashMap::new() }
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
