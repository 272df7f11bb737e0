//! A proxy in front of the registry, which answers with another schema under one id.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A schema of the registry.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) id: u32,
    pub(crate) schema: String,
}

/// Dropping it ends it.
pub(crate) struct RegistryProxy {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    registry: String,
    client: reqwest::Client,
    replaced: Mutex<Option<Registered>>,
}

impl RegistryProxy {
    /// Answers as the registry does, but with another schema under its id.
    pub(crate) async fn start(registry: &str, replaced: Registered) -> io::Result<Self> {
        // The registry is on this machine.
        let client = reqwest::Client::builder().no_proxy().build().map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let registry = registry.trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared { registry, client, replaced: Mutex::new(Some(replaced)) });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // Without it the consumer cannot reach the registry, and fails.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, shared, serving })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on all answers are those of the registry.
    pub(crate) fn repair(&self) {
        *self.shared.replaced.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for RegistryProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Consumers only read.
async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let replaced = shared.replaced.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(Registered { id, schema }) = replaced
        && uri.path() == format!("/schemas/ids/{id}")
    {
        return as_json(StatusCode::OK, json!({ "schema": schema }).to_string());
    }
    let answered = async {
        let answer = shared.client.get(format!("{}{uri}", shared.registry)).send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
    };
    match answered.await {
        Ok((status, body)) => as_json(status, body),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn as_json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn one_id_has_another_schema_until_it_is_repaired() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/schemas/ids/{id}", get(async || "right"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let replaced = Registered { id: 7, schema: "wrong".to_owned() };
        let proxy = RegistryProxy::start(&registry, replaced).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |path: &str| {
            let answer = client.get(format!("{}{path}", proxy.url())).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let right = (200, "right".to_owned());
        assert_eq!(ask("/schemas/ids/7?deleted=true").await, (200, r#"{"schema":"wrong"}"#.to_owned()));
        assert_eq!(ask("/schemas/ids/77").await, right);
        assert_eq!(ask("/subjects").await.0, 404);
        proxy.repair();
        assert_eq!(ask("/schemas/ids/7").await, right);
    }
}
