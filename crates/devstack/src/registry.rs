//! A schema registry with the part of Confluent's HTTP interface that clients use, for development and tests.
//!
//! Avro only. A registered schema is on disk before the response is sent, in a file of JSON lines; ids never change.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::embedded::{Embedded, Serving};
use crate::error::StartError;

mod answer;
mod api;
mod journal;
mod schemas;
mod store;

pub(crate) const PART: &str = "registry";

/// A registry that listens on the port and keeps its schemas in the file. It does not accept requests yet.
pub(crate) fn registry(port: u16, file: PathBuf) -> Embedded {
    Embedded::new(
        PART,
        port,
        Box::new(move |listener, stopped| Box::pin(serve(file.clone(), listener, stopped))),
    )
}

async fn serve(
    file: PathBuf,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> Result<Serving, StartError> {
    let service = api::routes(Arc::new(Mutex::new(store::Store::open(&file)?)));
    let stop = async {
        let _ = stopped.await;
    };
    Ok(Box::pin(axum::serve(listener, service).with_graceful_shutdown(stop).into_future()))
}
